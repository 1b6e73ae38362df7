#!/usr/bin/env bash
# moto 5.2.5: conditions of GET and HEAD beside one another, and their `*`.
#
# Guess: the pairs of RFC 9110 (a date does not count beside its entity tag) are ignored, `*` is known. Seen: a date decides
# even where the entity tag beside it has decided otherwise; `If-Match: *` of an object that is there is 412, `If-None-Match: *`
# of it is 200, and `If-Match` with a list that has the right tag is 412. Copies, in the same version, follow the RFC.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install --disable-pip-version-check moto==5.2.5 boto3==1.44.8
seen="$("$folder/venv/bin/python" - <<'P'
import datetime

import boto3
from botocore.exceptions import ClientError
from moto import mock_aws

with mock_aws():
    s3 = boto3.client("s3", region_name="us-east-1", aws_access_key_id="AK", aws_secret_access_key="SK")
    s3.create_bucket(Bucket="bucket")
    tag = s3.put_object(Bucket="bucket", Key="key", Body=b"body")["ETag"]
    written = s3.head_object(Bucket="bucket", Key="key")["LastModified"]
    day = datetime.timedelta(days=1)

    def status(verb, **conditions):
        try:
            return verb(Bucket="bucket", Key="key", **conditions)["ResponseMetadata"]["HTTPStatusCode"]
        except ClientError as error:
            return error.response["ResponseMetadata"]["HTTPStatusCode"]

    for name, verb in (("GET", s3.get_object), ("HEAD", s3.head_object)):
        print(name, "If-None-Match another, If-Modified-Since when it was written:",
              status(verb, IfNoneMatch='"another"', IfModifiedSince=written))
        print(name, "If-Match the tag, If-Unmodified-Since the day before:",
              status(verb, IfMatch=tag, IfUnmodifiedSince=written - day))
        print(name, "If-Match *:", status(verb, IfMatch="*"))
        print(name, "If-None-Match *:", status(verb, IfNoneMatch="*"))
        print(name, "If-Match another, the tag:", status(verb, IfMatch=f'"another", {tag}'))

    def copied(**conditions):
        try:
            return s3.copy_object(Bucket="bucket", Key="copy", CopySource="bucket/key", **conditions)["ResponseMetadata"]["HTTPStatusCode"]
        except ClientError as error:
            return error.response["ResponseMetadata"]["HTTPStatusCode"]

    print("copy, match the tag, unmodified since the day before:",
          copied(CopySourceIfMatch=tag, CopySourceIfUnmodifiedSince=written - day))
P
)"
echo "moto 5.2.5"
echo "$seen"
pairs() {
  echo "$1 If-None-Match another, If-Modified-Since when it was written: 304"
  echo "$1 If-Match the tag, If-Unmodified-Since the day before: 412"
  echo "$1 If-Match *: 412"
  echo "$1 If-None-Match *: 200"
  echo "$1 If-Match another, the tag: 412"
}
wanted="$(pairs GET; pairs HEAD; echo "copy, match the tag, unmodified since the day before: 200")"
[ "$seen" = "$wanted" ] || { echo "this has changed; the head of this script says what was seen"; exit 1; }
