"""Makes what real OSS SDKs encrypt, and lets them read what Ossicle has encrypted.

    python3 sdks.py record DIRECTORY    # writes one file for each way that the installed SDK encrypts
    python3 sdks.py check DIRECTORY     # reads every file that Ossicle has written there

The SDKs talk to a server on loopback that stores what it is sent; nothing of them is replaced. Which SDKs take part
depends on what is installed: `oss2` (2.19.1; with 2.5.0 in its place it writes the metadata of old), and
`alibabacloud-oss-v2` (1.4.1) with `pycryptodome`.

A file has the metadata as the client sent it, a line each, for an upload in parts their lengths, an empty line, and the
encrypted body. The plain body is `plain(length)`.
"""

import http.server
import io
import os
import sys
import threading
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
META = "x-oss-meta-"


def plain(length):
    return bytes((i * 31 + i // 251) % 256 for i in range(length))


def key(name):
    with open(os.path.join(HERE, name)) as file:
        return file.read()


class Server(http.server.ThreadingHTTPServer):
    """Stores objects and uploads in memory: (metadata, lengths of parts or None, body)."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.objects = {}
        self.uploads = {}
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def endpoint(self):
        return "http://127.0.0.1:%d" % self.server_address[1]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def target(self):
        path, _, query = self.path.partition("?")
        name = urllib.parse.unquote(path).split("/", 2)[2]
        return name, dict(urllib.parse.parse_qsl(query, keep_blank_values=True))

    def body(self):
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            body = b""
            while True:
                size = int(self.rfile.readline(), 16)
                body += self.rfile.read(size)
                self.rfile.readline()
                if size == 0:
                    return body
        return self.rfile.read(int(self.headers.get("Content-Length", "0")))

    def metadata(self):
        lowered = [(name.lower(), value) for name, value in self.headers.items()]
        return [(name, value) for name, value in lowered if name.startswith(META)]

    def answer(self, status, body=b"", headers=()):
        self.send_response(status)
        self.send_header("x-oss-request-id", "0")
        self.send_header("ETag", '"0123456789ABCDEF0123456789ABCDEF"')
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_PUT(self):
        name, query = self.target()
        body = self.body()
        if "partNumber" in query:
            self.server.uploads[query["uploadId"]][1][int(query["partNumber"])] = body
        else:
            self.server.objects[name] = (self.metadata(), None, body)
        self.answer(200)

    def do_POST(self):
        name, query = self.target()
        self.body()
        if "uploads" in query:
            self.server.uploads[name] = (self.metadata(), {})
            told = "<InitiateMultipartUploadResult><Bucket>bucket</Bucket><Key>%s</Key><UploadId>%s</UploadId></InitiateMultipartUploadResult>"
            self.answer(200, (told % (name, name)).encode())
        else:
            metadata, parts = self.server.uploads[query["uploadId"]]
            parts = [parts[number] for number in sorted(parts)]
            self.server.objects[name] = (metadata, [len(part) for part in parts], b"".join(parts))
            told = "<CompleteMultipartUploadResult><Bucket>bucket</Bucket><Key>%s</Key><ETag>\"0\"</ETag></CompleteMultipartUploadResult>"
            self.answer(200, (told % name).encode())

    def do_GET(self):
        metadata, _, body = self.server.objects[self.target()[0]]
        wanted = self.headers.get("Range")
        if wanted is None:
            return self.answer(200, body, metadata)
        first, last = wanted[len("bytes="):].split("-")
        first, last = int(first), min(int(last or len(body)), len(body) - 1)
        place = ("Content-Range", "bytes %d-%d/%d" % (first, last, len(body)))
        self.answer(206, body[first : last + 1], metadata + [place])

    do_HEAD = do_GET


def write(directory, name, stored):
    metadata, parts, body = stored
    with open(os.path.join(directory, name), "wb") as file:
        for pair in sorted(metadata):
            file.write(("%s: %s\n" % pair).encode())
        if parts:
            file.write(("parts: %s\n" % " ".join(map(str, parts))).encode())
        file.write(b"\n" + body)


def read(path):
    with open(path, "rb") as file:
        head, _, body = file.read().partition(b"\n\n")
    pairs = [line.split(": ", 1) for line in head.decode().splitlines()]
    return [(name, value) for name, value in pairs if name != "parts"], None, body


DESCRIPTION = {"key": "letters 2026", "owner": "<ann> 密钥"}


def pair():
    return {"private_key": key("rsa.pem"), "public_key": key("rsa.public.pem")}


def oss2_bucket(server, provider):
    import oss2

    return oss2.CryptoBucket(oss2.Auth("AK", "SK"), server.endpoint, "bucket", crypto_provider=provider)


def oaep_provider(directory):
    """A key in files, as the provider wants it."""
    from oss2.crypto import LocalRsaProvider

    for name, source in [("private_key", "rsa.pem"), ("public_key", "rsa.public.pem")]:
        with open(os.path.join(directory, "t.%s.pem" % name), "w") as file:
            file.write(key(source))
    return LocalRsaProvider(dir=directory, key="t")


def record_oss2(server):
    import tempfile

    import oss2
    from oss2.crypto import LocalRsaProvider

    with tempfile.TemporaryDirectory() as directory:
        oaep = oaep_provider(directory)
        if oss2.__version__.startswith("2.5"):
            bucket = oss2.CryptoBucket(oss2.Auth("AK", "SK"), server.endpoint, "bucket", crypto_provider=oaep)
            bucket.put_object("oss2-legacy", plain(1000))
            return
        oss2_bucket(server, oaep).put_object("oss2-oaep", plain(1000))
    from oss2.crypto import RsaProvider

    bucket = oss2_bucket(server, RsaProvider(pair()))
    bucket.put_object("oss2-put", plain(1000))
    bucket.put_object("oss2-empty", b"")
    import base64
    import hashlib

    md5 = base64.b64encode(hashlib.md5(plain(1000)).digest()).decode()
    bucket = oss2_bucket(server, RsaProvider(pair(), mat_desc=DESCRIPTION))
    bucket.put_object("oss2-described", plain(1000), headers={"content-md5": md5, "content-length": "1000"})
    length, size = 102400 + 1017, 102400
    context = oss2.models.MultipartUploadCryptoContext(length, size)
    upload = bucket.init_multipart_upload("oss2-parts", upload_context=context).upload_id
    body, parts = plain(length), []
    for number in [2, 1]:
        part = body[(number - 1) * size : number * size]
        done = bucket.upload_part("oss2-parts", upload, number, part, upload_context=context)
        parts.append(oss2.models.PartInfo(number, done.etag))
    bucket.complete_multipart_upload("oss2-parts", upload, sorted(parts, key=lambda part: part.part_number))


def v2_client(server, description=None):
    import alibabacloud_oss_v2 as oss
    from alibabacloud_oss_v2.crypto import MasterRsaCipher
    from alibabacloud_oss_v2.encryption_client import EncryptionClient

    config = oss.config.load_default()
    config.credentials_provider = oss.credentials.StaticCredentialsProvider("AK", "SK")
    config.region, config.endpoint = "cn-hangzhou", server.endpoint
    master = MasterRsaCipher(description, key("rsa.public.pem"), key("rsa.pem"))
    return EncryptionClient(oss.Client(config), master)


def record_v2(server):
    import alibabacloud_oss_v2 as oss

    v2_client(server).put_object(oss.PutObjectRequest("bucket", "v2-put", body=plain(1000)))
    client = v2_client(server, DESCRIPTION)
    client.put_object(oss.PutObjectRequest("bucket", "v2-described", body=io.BytesIO(plain(1000)), content_length=1000))
    begun = client.initiate_multipart_upload(
        oss.InitiateMultipartUploadRequest("bucket", "v2-parts", cse_part_size=1600, cse_data_size=4000)
    )
    for number in [3, 1, 2]:
        part = plain(4000)[(number - 1) * 1600 : number * 1600]
        client.upload_part(
            oss.UploadPartRequest(
                "bucket", "v2-parts", part_number=number, upload_id=begun.upload_id, body=part,
                cse_multipart_context=begun.cse_multipart_context,
            )
        )
    client.complete_multipart_upload(
        oss.CompleteMultipartUploadRequest("bucket", "v2-parts", upload_id=begun.upload_id, complete_all="yes")
    )


RANGES = [(0, 0), (0, 15), (0, 16), (1, 15), (5, 20), (15, 16), (16, 31), (17, 99), (900, 999)]


def same(name, got, wanted):
    if got != wanted:
        raise SystemExit("%s: the SDK read something else" % name)


def check_oss2(server, name, length):
    from oss2.crypto import RsaProvider

    described = any(pair[0].endswith("-matdesc") for pair in server.objects[name][0])
    bucket = oss2_bucket(server, RsaProvider(pair(), mat_desc=DESCRIPTION if described else None))
    body = plain(length)
    same(name, bucket.get_object(name).read(), body)
    for first, last in RANGES:
        if last < length:
            same(name, bucket.get_object(name, byte_range=(first, last)).read(), body[first : last + 1])


def check_v2(server, name, length):
    import alibabacloud_oss_v2 as oss

    client, body = v2_client(server, DESCRIPTION), plain(length)
    same(name, client.get_object(oss.GetObjectRequest("bucket", name)).body.read(), body)
    for first, last in RANGES:
        if last < length:
            request = oss.GetObjectRequest("bucket", name, range_header="bytes=%d-%d" % (first, last))
            same(name, client.get_object(request).body.read(), body[first : last + 1])


def installed(name):
    import importlib.util

    return importlib.util.find_spec(name) is not None


def main():
    verb, directory = sys.argv[1:]
    server = Server()
    if verb == "record":
        if installed("oss2"):
            record_oss2(server)
        if installed("alibabacloud_oss_v2"):
            record_v2(server)
        for name, stored in server.objects.items():
            write(directory, name, stored)
            print("recorded", name)
    else:
        for name in sorted(os.listdir(directory)):
            server.objects[name] = read(os.path.join(directory, name))
            length = len(server.objects[name][2])
            if installed("oss2"):
                check_oss2(server, name, length)
                print("oss2 read", name)
            if installed("alibabacloud_oss_v2"):
                check_v2(server, name, length)
                print("alibabacloud-oss-v2 read", name)


main()
