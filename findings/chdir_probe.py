"""Two databases of one relative name in two directories; the first is written to after a change of directory.

Prints what was acknowledged and what each database answers afterwards. Used by the scripts beside it.
"""

import os
import sys
import tempfile

ENGINE, COUNT = sys.argv[1], int(sys.argv[2])
VALUE = os.urandom(1024)


def database(path):
    if ENGINE == "leveldb":
        import plyvel

        return plyvel.DB(path, create_if_missing=True)
    import rocksdict

    return rocksdict.Rdict(path)


def put(db, key):
    if ENGINE == "leveldb":
        db.put(key, VALUE)
    else:
        db[key] = VALUE


def holds(path):
    """How many keys of each owner the database at this path holds, or the kind of error that opening gives."""
    try:
        db = database(path)
        keys = list(db.iterator(include_value=False) if ENGINE == "leveldb" else db.keys())
        db.close()
    except Exception as error:  # what is raised differs by engine
        text = str(error)
        return "missing files" if "missing files" in text or "No such file" in text else "unreadable"
    return {owner: sum(key.startswith(owner.encode()) for key in keys) for owner in ("first", "other")}


with tempfile.TemporaryDirectory() as home:
    os.makedirs(os.path.join(home, "elsewhere"))
    os.chdir(os.path.join(home, "elsewhere"))
    other = database("db")
    for number in range(20_000):
        put(other, b"other%08d" % number)
    other.close()
    del other

    os.chdir(home)
    first = database("db")
    put(first, b"first%08d" % 0)
    os.chdir("elsewhere")
    for number in range(1, COUNT):
        put(first, b"first%08d" % number)
    first.close()
    del first
    print("acknowledged:", COUNT, "- close raised nothing")

    os.chdir(home)
    print("first database:", holds("db"))
    print("other database:", holds("elsewhere/db"))
    os.chdir("/")
