"""Abuses of HTTP and the expected reaction to each: the status of every answer, and whether the connection stays open after
the last."""

from dataclasses import dataclass

PATH = b"/v1/models/emotion_analysis/predict"
BODY = b'{"text":"fine"}'
CLOSES, GOES_ON = "closes", "goes on"


@dataclass
class Case:
    name: str
    send: bytes | list  # a list is sent in pieces with pauses between them
    statuses: list  # of the answers in order; empty: closed without an answer
    then: str
    due: str  # the section of RFC 9112 (HTTP/1.1) or RFC 9110 (semantics), or the limit, that requires it
    pause: float = 0.002  # seconds between pieces


def get(path=b"/health/live", *headers, version=b"HTTP/1.1", method=b"GET", host=b"x"):
    lines = [method + b" " + path + b" " + version] + ([b"Host: " + host] if host is not None else [])
    return b"\r\n".join([*lines, *headers, b"", b""])


def post(*headers, body=BODY, length=True, kind=b"application/json", path=PATH):
    lines = [b"POST " + path + b" HTTP/1.1", b"Host: x"]
    if kind:
        lines.append(b"Content-Type: " + kind)
    if length:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join([*lines, *headers, b"", body])


def chunked(body, *headers):
    return post(b"Transfer-Encoding: chunked", *headers, body=body, length=False)


def extended(extension, size=b"f"):
    """Returns a chunk with the given extension, followed by another request."""
    return chunked(size + extension + CHUNK[1:] + END)


def framed(*headers, body=b"0\r\n\r\n"):
    """Returns a request with an ambiguous length that contains another request, which must not be answered."""
    return post(*headers, body=body + get(), length=False)


CHUNK = b"f\r\n" + BODY + b"\r\n"
END = b"0\r\n\r\n"
LARGE = b"9c40\r\n" + b" " * 40_000 + b"\r\n" + END

SMUGGLING = [
    Case("both lengths", framed(b"Content-Length: 5", b"Transfer-Encoding: chunked"), [400], CLOSES, "9112 6.1"),
    Case("both lengths, other order", framed(b"Transfer-Encoding: chunked", b"Content-Length: 5"), [400], CLOSES, "9112 6.1"),
    Case("two equal lengths", framed(b"Content-Length: 5", b"Content-Length: 5"), [400], CLOSES, "9112 6.3"),
    Case("two different lengths", framed(b"Content-Length: 5", b"Content-Length: 0"), [400], CLOSES, "9112 6.3"),
    Case("lengths in a list", framed(b"Content-Length: 5, 5"), [400], CLOSES, "9112 6.3"),
    Case("length with a plus", framed(b"Content-Length: +5"), [400], CLOSES, "9110 8.6"),
    Case("length with a minus", framed(b"Content-Length: -5"), [400], CLOSES, "9110 8.6"),
    Case("length in hexadecimal", framed(b"Content-Length: 0x5"), [400], CLOSES, "9110 8.6"),
    Case("length with a fraction", framed(b"Content-Length: 5.0"), [400], CLOSES, "9110 8.6"),
    Case("length with a space inside", framed(b"Content-Length: 1 5"), [400], CLOSES, "9110 8.6"),
    Case("length beyond 64 bits", framed(b"Content-Length: 99999999999999999999999"), [400], CLOSES, "9112 6.3"),
    Case("length of nothing", framed(b"Content-Length: "), [400], CLOSES, "9110 8.6"),
    Case("length in other digits", framed("Content-Length: ٥".encode()), [400], CLOSES, "9110 8.6"),
    Case("space before the colon", framed(b"Content-Length : 5"), [400], CLOSES, "9112 5.1"),
    Case("tab before the colon", framed(b"Transfer-Encoding\t: chunked"), [400], CLOSES, "9112 5.1"),
    Case("coding that is unknown", framed(b"Transfer-Encoding: gzip"), [400], CLOSES, "9112 6.1"),
    Case("chunked is not last", framed(b"Transfer-Encoding: chunked, gzip"), [400], CLOSES, "9112 6.1"),
    Case("chunked after another", framed(b"Transfer-Encoding: gzip, chunked"), [400], CLOSES, "9112 6.1"),
    Case("chunked twice", framed(b"Transfer-Encoding: chunked, chunked"), [400], CLOSES, "9112 6.1"),
    Case("chunked in two fields", framed(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"), [400], CLOSES, "9112 6.1"),
    Case("almost chunked", framed(b"Transfer-Encoding: xchunked"), [400], CLOSES, "9112 6.1"),
    Case("chunked in quotes", framed(b'Transfer-Encoding: "chunked"'), [400], CLOSES, "9112 6.1"),
    Case("chunked with a parameter", framed(b"Transfer-Encoding: chunked;q=1"), [400], CLOSES, "9112 7"),
    Case("identity", framed(b"Transfer-Encoding: identity"), [400], CLOSES, "9112 6.1"),
    Case("coding after a vertical tab", framed(b"Transfer-Encoding:\x0bchunked"), [400], CLOSES, "9110 5.5"),
    Case("coding on a folded line", framed(b"Transfer-Encoding:\r\n chunked"), [400], CLOSES, "9112 5.2"),
    # Sent in one piece with a body that exceeds the limit of headers.
    Case("coding on a folded line, large body", framed(b"Transfer-Encoding:\r\n chunked", body=LARGE), [400], CLOSES, "9112 5.2"),
    Case("coding behind a line feed, large body", framed(b"A: b\nTransfer-Encoding: chunked", body=LARGE), [400], CLOSES, "9112 2.2"),
    Case("chunked in HTTP/1.0", post(b"Transfer-Encoding: chunked", body=END, length=False).replace(b"/1.1", b"/1.0"), [400], CLOSES, "9112 6.1"),
    Case("bare line feed hides a field", get(b"/health/live", b"A: b\nContent-Length: 40"), [400], CLOSES, "9112 2.2"),
    Case("bare carriage return in a value", get(b"/health/live", b"A: b\rc"), [400], CLOSES, "9112 2.2"),
    Case("line feeds alone", get().replace(b"\r\n", b"\n"), [400], CLOSES, "9112 2.2"),
    Case("NUL in a value", get(b"/health/live", b"A: b\0c"), [400], CLOSES, "9110 5.5"),
    Case("NUL in a name", get(b"/health/live", b"A\0: b"), [400], CLOSES, "9110 5.1"),
    Case("control character in a value", get(b"/health/live", b"A: b\x01c"), [400], CLOSES, "9110 5.5"),
    Case("folded line", get(b"/health/live", b"A: b", b" c"), [400], CLOSES, "9112 5.2"),
    Case("space before the first field", get(b"/health/live").replace(b"Host", b" Host"), [400], CLOSES, "9112 2.2"),
    Case("field without a colon", get(b"/health/live", b"nothing"), [400], CLOSES, "9112 5"),
    Case("field without a name", get(b"/health/live", b": b"), [400], CLOSES, "9110 5.1"),
    Case("name with a space", get(b"/health/live", b"A B: c"), [400], CLOSES, "9110 5.1"),
]

CHUNKS = [
    Case("plain chunks", chunked(CHUNK + END), [200], GOES_ON, "9112 7.1"),
    Case("chunks byte by byte", [bytes([byte]) for byte in chunked(CHUNK + END)], [200], GOES_ON, "9112 7.1"),
    Case("many small chunks", chunked(b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + END), [200], GOES_ON, "9112 7.1"),
    Case("leading zeros", chunked(b"000f" + CHUNK[1:] + END), [200], GOES_ON, "9112 7.1"),
    Case("extension", chunked(b"f;a=b" + CHUNK[1:] + END), [200], GOES_ON, "9112 7.1.1"),
    Case("extension with spaces", extended(b" ; a = b ;c"), [200], GOES_ON, "9112 7.1.1"),
    Case("extension in quotes", extended(b';a="b\t\\"\xe6;\\\\ c"'), [200], GOES_ON, "9110 5.6.4"),
    Case("extension without a name", extended(b";"), [400], CLOSES, "9112 7.1.1"),
    Case("extension without a value", extended(b";a="), [400], CLOSES, "9112 7.1.1"),
    Case("extension after a closing quote", extended(b';a="b"c'), [400], CLOSES, "9112 7.1.1"),
    Case("extension with a control character", extended(b";a=b\x01"), [400], CLOSES, "9112 7.1.1"),
    *[
        Case(f"extension with {byte:#04x} in quotes", extended(b';a="b%c"' % byte), [400], CLOSES, "9110 5.6.4")
        for byte in (0x00, 0x01, 0x08, 0x0A, 0x0B, 0x0C, 0x0D, 0x1F, 0x7F)
    ],
    Case("extension with an escaped control character", extended(b';a="b\\\x01"'), [400], CLOSES, "9110 5.6.4"),
    Case("extension with an escaped line feed", extended(b';a="\\\n"'), [400], CLOSES, "9110 5.6.4"),
    Case("extension whose quote stays open", chunked(b'f;a="b\r\n' + BODY), [400], CLOSES, "9110 5.6.4"),
    Case("extension whose quote ends on the next line", chunked(b'f;a="b\r\n' + b'"' + CHUNK[1:] + END), [400], CLOSES, "9110 5.6.4"),
    Case("extension whose quote ends in a backslash", chunked(b'f;a="b\\\r\n' + BODY), [400], CLOSES, "9110 5.6.4"),
    Case("last chunk with a control character in quotes", chunked(CHUNK + b'0;a="\x01"\r\n\r\n'), [400], CLOSES, "9110 5.6.4"),
    Case("last chunk whose quote stays open", chunked(CHUNK + b'0;a="\r\n'), [400], CLOSES, "9110 5.6.4"),
    Case("endless extension", chunked(b"f;" + b"a" * 100_000), [431], CLOSES, "9112 7.1.1"),
    Case("trailer", chunked(CHUNK + b"0\r\nA: b\r\n\r\n"), [200], GOES_ON, "9112 7.1.2"),
    Case("length in a trailer", chunked(CHUNK + b"0\r\nContent-Length: 3\r\n\r\n"), [400], CLOSES, "9110 6.5.1"),
    Case("trailer on a folded line", chunked(CHUNK + b"0\r\nA: b\r\n c\r\n\r\n"), [400], CLOSES, "9112 5.2"),
    Case("trailer that begins with a space", chunked(CHUNK + b"0\r\n A: b\r\n"), [400], CLOSES, "9112 2.2"),
    Case("trailer that ends in a line feed", chunked(CHUNK + b"0\r\nA: b\n\r\n"), [400], CLOSES, "9112 2.2"),
    Case("trailer with a carriage return inside", chunked(CHUNK + b"0\r\nA: b\rc\r\n\r\n"), [400], CLOSES, "9112 2.2"),
    Case("trailer with a control character", chunked(CHUNK + b"0\r\nA: b\x01\r\n\r\n"), [400], CLOSES, "9110 5.5"),
    Case("trailer without a colon", chunked(CHUNK + b"0\r\nA\r\n\r\n"), [400], CLOSES, "9112 5"),
    Case("coding in a trailer", chunked(CHUNK + b"0\r\nTransfer-Encoding: chunked\r\n\r\n"), [400], CLOSES, "9110 6.5.1"),
    Case("end that is a line feed", chunked(CHUNK + b"0\r\n\n"), [400], CLOSES, "9112 2.2"),
    Case("endless trailer", chunked(CHUNK + b"0\r\n" + b"A: b\r\n" * 20_000), [431], CLOSES, "limit"),
    Case("size in other characters", chunked(b"g\r\n" + BODY + b"\r\n" + END), [400], CLOSES, "9112 7.1"),
    Case("size with a space behind it", chunked(b"f \r\n" + BODY + b"\r\n" + END), [400], CLOSES, "9112 7.1"),
    Case("size with a space before it", chunked(b" f\r\n" + BODY + b"\r\n" + END), [400], CLOSES, "9112 7.1"),
    Case("size with a plus", chunked(b"+f\r\n" + BODY + b"\r\n" + END), [400], CLOSES, "9112 7.1"),
    Case("size with a control character", chunked(b"f\x01"), [400], CLOSES, "9112 7.1"),
    Case("size with NUL", chunked(b"f\0\r\n" + BODY + b"\r\n" + END), [400], CLOSES, "9112 7.1"),
    Case("size with a carriage return alone", chunked(b"f\r" + BODY), [400], CLOSES, "9112 2.2"),
    Case("size in full-width digits", chunked("１\r\n".encode() + BODY), [400], CLOSES, "9112 7.1"),
    Case("chunk without its line end", chunked(b"f\r\n" + BODY + END), [400], CLOSES, "9112 7.1"),
    Case("negative size", chunked(b"-f\r\n" + BODY + b"\r\n" + END), [400], CLOSES, "9112 7.1"),
    Case("size with 0x", chunked(b"0xf\r\n" + BODY + b"\r\n" + END), [400], CLOSES, "9112 7.1"),
    Case("size beyond 64 bits", chunked(b"10000000000000000f\r\n" + BODY + b"\r\n" + END), [400, 413], CLOSES, "9112 7.1"),
    Case("size of nothing", chunked(b"\r\n" + BODY + b"\r\n" + END), [400], CLOSES, "9112 7.1"),
    Case("size that is too small", chunked(b"2\r\n" + BODY + b"\r\n" + END), [400], CLOSES, "9112 7.1"),
    Case("chunk that ends in a line feed", chunked(b"f\r\n" + BODY + b"\n" + END), [400], CLOSES, "9112 2.2"),
    Case("size that ends in a line feed", chunked(b"f\n" + BODY + b"\r\n" + END), [400], CLOSES, "9112 2.2"),
    Case("too much in one chunk", chunked(b"ffffff\r\n"), [413], CLOSES, "limit"),
    Case("too much in many chunks", chunked(b"400\r\n" + b" " * 1024 + b"\r\n") + b"".join(b"400\r\n" + b" " * 1024 + b"\r\n" for _ in range(70)), [413], CLOSES, "limit"),
]

REQUEST_LINES = [
    Case("no version", b"GET /health/live\r\n\r\n", [400], CLOSES, "9112 3"),
    Case("version that is too short", b"GET /health/live 15\r\n\r\n", [400], CLOSES, "9112 3"),
    Case("version 1.2", get(version=b"HTTP/1.2"), [505], CLOSES, "9110 15.6.6"),
    Case("version 3", get(version=b"HTTP/3.0"), [505], CLOSES, "9110 15.6.6"),
    Case("preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [505], CLOSES, "9113 3.4"),
    Case("version in lower case", get(version=b"http/1.1"), [400], CLOSES, "9112 2.3"),
    Case("garbage", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", [400], CLOSES, "9112 3"),
    Case("two spaces", b"GET  /health/live HTTP/1.1\r\nHost: x\r\n\r\n", [400], CLOSES, "9112 3"),
    Case("tab between", b"GET\t/health/live HTTP/1.1\r\nHost: x\r\n\r\n", [400], CLOSES, "9112 3"),
    Case("space at the end", b"GET /health/live HTTP/1.1 \r\nHost: x\r\n\r\n", [400], CLOSES, "9112 3"),
    Case("space in front", b" GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n", [400], CLOSES, "9112 3"),
    Case("method in lower case", get(method=b"get"), [405], GOES_ON, "9110 9.1"),
    Case("unknown method", get(method=b"BREW"), [405], GOES_ON, "9110 15.5.6"),
    Case("method with strange characters", get(method=b"GE(T"), [400], CLOSES, "9110 9.1"),
    Case("CONNECT", b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", [400], CLOSES, "9112 3.2.3"),
    Case("TRACE", get(method=b"TRACE"), [405], GOES_ON, "9110 9.3.8"),
    Case("asterisk", get(b"*", method=b"OPTIONS"), [404, 405], GOES_ON, "9112 3.2.4"),
    Case("whole address", get(b"http://x/health/live"), [200], GOES_ON, "9112 3.2.2"),
    Case("whole address, query but no path", get(b"http://x?x=1"), [200], GOES_ON, "9112 3.2.2"),
    Case("whole address, neither path nor query", get(b"http://x"), [200], GOES_ON, "9112 3.2.1"),
    Case("whole address with a port", get(b"http://x:80/health/live?a"), [200], GOES_ON, "9112 3.2.2"),
    Case("whole address of an IPv6 host", get(b"http://[::1]:80/health/live"), [200], GOES_ON, "9112 3.2.2"),
    Case("whole address, scheme in capitals", get(b"HTTP://x/health/live"), [200], GOES_ON, "9110 4.2.3"),
    Case("whole address, other host than Host", get(b"http://other/health/live"), [200], GOES_ON, "9112 3.2.2"),
    Case("whole address, no Host", get(b"http://x/health/live", host=None), [400], CLOSES, "9112 3.2"),
    Case("whole address without a host", get(b"http:///health/live"), [400], CLOSES, "9110 4.2.1"),
    Case("whole address, port without a host", get(b"http://:80/health/live"), [400], CLOSES, "9110 4.2.1"),
    Case("whole address with a user", get(b"http://user:secret@x/health/live"), [400], CLOSES, "9110 4.2.4"),
    Case("whole address, port that is no number", get(b"http://x:8o/health/live"), [400], CLOSES, "9110 4.2.1"),
    Case("whole address of another scheme", get(b"ftp://x/health/live"), [400], CLOSES, "9112 3.2.2"),
    Case("address of one slash", get(b"http:/x/health/live"), [400], CLOSES, "9112 3.2"),
    Case("scheme inside a path", get(b"/http://x/health/live"), [404], GOES_ON, "9112 3.2.1"),
    Case("asterisk of a GET", get(b"*"), [400], CLOSES, "9112 3.2.4"),
    Case("host and port of a GET", get(b"x:80"), [400], CLOSES, "9112 3.2.3"),
    Case("query without a path", get(b"?x=1"), [400], CLOSES, "9112 3.2.1"),
    Case("empty line in front", b"\r\n" + get(), [200], GOES_ON, "9112 2.2"),
    Case("path that climbs", get(b"/v1/models/../../etc/passwd"), [404], GOES_ON, "9112 3.2"),
    Case("path that climbs in disguise", get(b"/v1/models/%2e%2e%2f%2e%2e%2fetc"), [404], GOES_ON, "9110 4.2"),
    Case("NUL in the path", get(b"/health/live\0"), [400], CLOSES, "9112 3.2"),
    Case("bytes that are no UTF-8 in the path", get(b"/v1/models/\xff\xfe"), [400, 404], None, "9112 3.2"),
    Case("line feed in the path", get(b"/health/%0alive"), [404], GOES_ON, "9112 3.2"),
    Case("fragment in the path", get(b"/health/live#a"), [400, 404], None, "9112 3.2"),
    Case("path that is too long", get(b"/" + b"a" * 20_000), [431], CLOSES, "9112 3"),
    Case("endless method", b"A" * 100_000, [431], CLOSES, "9112 3"),
]

FIELDS = [
    Case("no host", get(host=None), [400], CLOSES, "9112 3.2"),
    Case("two hosts", get(b"/health/live", b"Host: y"), [400], CLOSES, "9112 3.2"),
    Case("host with a space", get(host=b"a b"), [400], CLOSES, "9112 3.2"),
    Case("host with a path", get(host=b"a/b"), [400], CLOSES, "9112 3.2"),
    Case("host with two ports", get(host=b"x:80:80"), [400], CLOSES, "9112 3.2"),
    Case("host whose port is no number", get(host=b"x:8o"), [400], CLOSES, "9112 3.2"),
    Case("host whose bracket stays open", get(host=b"[::1"), [400], CLOSES, "9112 3.2"),
    Case("host with a user", get(host=b"user@x"), [400], CLOSES, "9112 3.2"),
    Case("host on a folded line", get(b"/health/live", b"Host:", b" x", host=None), [400], CLOSES, "9112 5.2"),
    Case("host with an IPv6 address", get(host=b"[::1]:80"), [200], GOES_ON, "9110 7.2"),
    Case("host with an empty port", get(host=b"x:"), [200], GOES_ON, "9110 7.2"),
    Case("empty host", get(host=b""), [200], GOES_ON, "9112 3.2"),
    Case("no host in HTTP/1.0", get(host=None, version=b"HTTP/1.0"), [200], CLOSES, "9112 3.2"),
    Case("HTTP/1.0 that stays", get(b"/health/live", b"Connection: keep-alive", version=b"HTTP/1.0"), [200], GOES_ON, "9112 9.3"),
    Case("connection that closes", get(b"/health/live", b"Connection: close"), [200], CLOSES, "9112 9.6"),
    Case("unknown expectation", get(b"/health/live", b"Expect: cake"), [417], CLOSES, "9110 10.1.1"),
    Case("expectation of HTTP/1.0", get(b"/health/live", b"Expect: 100-continue", version=b"HTTP/1.0"), [200], CLOSES, "9110 10.1.1"),
    Case("upgrade that nobody asked for", get(b"/health/live", b"Connection: upgrade", b"Upgrade: h2c"), [200], GOES_ON, "9110 7.8"),
    Case("long field", get(b"/health/live", b"A: " + b"a" * 20_000), [431], CLOSES, "limit"),
    Case("endless field", get()[:-2] + b"A: " + b"a" * 200_000, [431], CLOSES, "limit"),
    Case("many fields", get(b"/health/live", *[b"A: b"] * 200), [431], CLOSES, "limit"),
    Case("no length", post(length=False, body=b""), [411], GOES_ON, "9110 15.5.12"),
    Case("no type", post(kind=b""), [415], CLOSES, "9110 15.5.16"),
    Case("other type", post(kind=b"text/plain"), [415], CLOSES, "9110 15.5.16"),
    Case("other character set", post(kind=b"application/json; charset=gbk"), [415], CLOSES, "9110 15.5.16"),
    Case("compressed body", post(b"Content-Encoding: gzip"), [415], CLOSES, "9110 15.5.16"),
    Case("body that is too large", post(b"Content-Length: 70000", length=False, body=b""), [413], CLOSES, "9110 15.5.14"),
    Case("body of a GET", get(b"/health/live", b"Content-Length: 5") + b"hello", [200], GOES_ON, "9110 9.3.1"),
    Case("wrong method", get(PATH), [405], GOES_ON, "9110 15.5.6"),
    Case("HEAD", get(method=b"HEAD"), [200], GOES_ON, "9110 9.3.2"),
]

STREAMS = [
    Case("ten requests at once", get() * 10, [200] * 10, GOES_ON, "9112 9.3.2"),
    Case("predictions at once", post() * 5, [200] * 5, GOES_ON, "9112 9.3.2"),
    Case("a bad one in the middle", get() * 2 + get(host=None) + get(), [200, 200, 400], CLOSES, "9112 9.3.2"),
    Case("a body, then garbage", post() + b"garbage\r\n\r\n" + get(), [200, 400], CLOSES, "9112 9.3.2"),
    Case("byte by byte", [bytes([byte]) for byte in get()], [200], GOES_ON, "9112 2.1"),
    Case("body after its header", [post()[: -len(BODY)], BODY], [200], GOES_ON, "9112 2.1"),
    Case("body after a go-ahead", [post(b"Expect: 100-continue")[: -len(BODY)], BODY], [100, 200], GOES_ON, "9110 10.1.1"),
    Case("header that never ends", get()[:-2], [408], CLOSES, "limit"),
    Case("body that never ends", post()[:-3], [408], CLOSES, "limit"),
    Case("chunk that never ends", chunked(CHUNK[:-6]), [408], CLOSES, "limit"),
    Case("trickle", [get(b"/health/live")[:20], *[b"a"] * 40], [408], CLOSES, "limit", pause=0.03),
    Case("nothing at all", b"", [], CLOSES, "limit"),
]

CASES = SMUGGLING + CHUNKS + REQUEST_LINES + FIELDS + STREAMS
