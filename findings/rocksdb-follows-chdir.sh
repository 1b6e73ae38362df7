#!/usr/bin/env bash
# rocksdict 0.3.29 (the RocksDB in its wheel): a database that was opened by a relative path looks its path up anew for each file.
#
# Guess: as with LevelDB, both databases are damaged and say so. Seen: every put and the close succeed; the first database does
# not open again; the other one opens without a word, with the keys of the first in it and none of its own.
#
# A store of Ossicle holds on to the directory it was opened in (docs/HAZARDS.md).
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install --disable-pip-version-check rocksdict==0.3.29
seen="$(cd "$folder" && "$folder/venv/bin/python" "$here/chdir_probe.py" rocksdb 200000)"
echo "rocksdict==0.3.29: $seen"
wanted="acknowledged: 200000 - close raised nothing
first database: missing files
other database: {'first': 200000, 'other': 0}"
[ "$seen" = "$wanted" ] || { echo "this has changed; the head of this script says what was seen"; exit 1; }
