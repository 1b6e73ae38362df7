#!/usr/bin/env bash
# moto 5.2.5: versions of a key are gone with the first write or delete after versioning was suspended.
#
# Guess: as in S3, suspending keeps every version that has an id; a put makes or replaces the null version, a delete puts a
# null marker in its place. Seen: the put leaves one version, null, and the delete leaves nothing at all. A program tested on
# moto alone therefore passes where it relies on versions being gone, and fails where it relies on them.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install --disable-pip-version-check moto==5.2.5 boto3==1.44.8
seen="$("$folder/venv/bin/python" - <<'P'
import boto3
from moto import mock_aws

with mock_aws():
    s3 = boto3.client("s3", region_name="us-east-1", aws_access_key_id="AK", aws_secret_access_key="SK")
    s3.create_bucket(Bucket="bucket")

    def state(status):
        s3.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": status})

    def sizes():
        listed = s3.list_object_versions(Bucket="bucket")
        return [version["Size"] for version in listed.get("Versions", [])], len(listed.get("DeleteMarkers", []))

    state("Enabled")
    for body in (b"1", b"22"):
        s3.put_object(Bucket="bucket", Key="key", Body=body)
    print("enabled, two puts:", sizes())
    state("Suspended")
    print("suspended:", sizes())
    s3.put_object(Bucket="bucket", Key="key", Body=b"333")
    print("a put:", sizes())
    s3.delete_object(Bucket="bucket", Key="key")
    print("a delete:", sizes())
P
)"
echo "moto 5.2.5, sizes of versions and number of delete markers"
echo "$seen"
wanted="enabled, two puts: ([2, 1], 0)
suspended: ([2, 1], 0)
a put: ([3], 0)
a delete: ([], 0)"
[ "$seen" = "$wanted" ] || { echo "this has changed; the head of this script says what was seen"; exit 1; }
