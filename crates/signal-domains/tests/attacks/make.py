"""Makes one small file for each idea of an attack, beside this script. Needs nothing but Python. `attacks.rs` says what
must come of each.
"""

import gzip
import io
import struct
import zipfile
import zlib
from pathlib import Path

here = Path(__file__).parent


def put(name, data):
    (here / name).write_bytes(data)


def npy(shape, data=b"", descr="'<f8'", version=1, length=None):
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    size = len(header) if length is None else length
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", size) + header + data


# extents whose product is beyond the file, beyond 64 bits, beyond a number
put("shape_beyond_the_file.npy", npy("(1000000000,)", bytes(80)))
put("shape_beyond_64_bits.npy", npy("(4294967296, 4294967296)", bytes(80)))
# the same of a type that is not read: found by fuzzing, which saw room made for 4294967296 channels
put("shape_of_no_type.npy", npy("(4294967296, 4294967296)", bytes(80), descr="$'<f8'"))
put("shape_beyond_numbers.npy", npy("(" + "9" * 40 + ",)", bytes(80)))
put("shape_of_many_extents.npy", npy("(" + "1," * 5000 + ")", bytes(8)))
put("header_beyond_the_file.npy", npy("(10,)", bytes(80), version=2, length=0xFFFFFFFF))
put("header_of_brackets.npy", npy("(" * 3000, bytes(80)))
put("pickle.npy", npy("()", b"cos\nsystem\n(S'touch /tmp/pwned'\ntR.", descr="'|O'"))


def npz(entries):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as f:
        for name, data in entries:
            f.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return bytearray(out.getvalue())


# more comes out than the archive says; names that lead elsewhere; a hundred names for one member; a list beyond the file
bomb = npz([("x.npy", npy("(10,)", bytes(80)) + bytes(1 << 20))])
small = struct.pack("<I", len(npy("(10,)", bytes(80))))
bomb = bomb.replace(struct.pack("<I", len(npy("(10,)", bytes(80))) + (1 << 20)), small)
put("inflates_to_more.npz", bomb)
put("names_elsewhere.npz", npz([("../../../etc/passwd.npy", npy("(2,)", bytes(16))), ("/etc/shadow.npy", npy("(2,)", bytes(16)))]))
one = npz([("x.npy", npy("(2,)", bytes(16)))])
at = one.index(b"PK\x01\x02")
central, end = bytes(one[at : one.index(b"PK\x05\x06")]), one[one.index(b"PK\x05\x06") :]
end[8:12] = struct.pack("<HH", 100, 100)
end[12:16] = struct.pack("<I", 100 * len(central))
put("a_hundred_names.npz", bytes(one[:at]) + central * 100 + bytes(end))
put("list_beyond_the_file.npz", bytes(one[:-10]) + struct.pack("<II", 0xFFFFFFF0, 0xFFFFFFF0) + bytes(2))


def segment(mask, metadata, raw=b"", length=None, meta_length=None):
    length = len(metadata) + len(raw) if length is None else length
    meta_length = len(metadata) if meta_length is None else meta_length
    return b"TDSm" + struct.pack("<IIQQ", mask, 4713, length, meta_length) + metadata + raw


def text(s):
    return struct.pack("<I", len(s)) + s


path = text(b"/'g'/'a'")
put("objects_without_end.tdms", segment(14, struct.pack("<I", 0xFFFFFFFF) + path + struct.pack("<II", 0xFFFFFFFF, 0)))
put("name_beyond_the_file.tdms", segment(14, struct.pack("<II", 1, 0xFFFFFFF0) + b"/'g'"))
put("segment_beyond_64_bits.tdms", segment(14, struct.pack("<I", 0), length=2**63, meta_length=2**63 - 1))
index = struct.pack("<IIIQ", 20, 10, 1, 2**61)
put("values_beyond_64_bits.tdms", segment(14, struct.pack("<I", 1) + path + index + struct.pack("<I", 0), bytes(8)))
index = struct.pack("<IIIQQ", 28, 0x20, 1, 1, 2**63)
put("texts_beyond_64_bits.tdms", segment(14, struct.pack("<I", 1) + path + index + struct.pack("<I", 0), bytes(8)))
index = struct.pack("<IIIQ", 20, 10, 1, 0)
put("chunks_of_nothing.tdms", segment(14, struct.pack("<I", 1) + path + index + struct.pack("<I", 0), bytes(64)))
# a list of a hundred objects, and hundreds of segments that change one of them each
index = struct.pack("<IIIQ", 20, 5, 1, 1)
many = b"".join(text(b"/'g'/'%d'" % k) + index + struct.pack("<I", 0) for k in range(100))
first = segment(14, struct.pack("<I", 100) + many, bytes(100))
change = lambda n: segment(10, struct.pack("<I", 1) + text(b"/'g'/'0'") + struct.pack("<IIIQ", 20, 5, 1, n) + struct.pack("<I", 0), bytes(99 + n))
put("lists_that_multiply.tdms", first + b"".join(change(1 + k % 2) for k in range(80)))

put("one_line_packed.gz", gzip.compress(b"1" * (1 << 22), mtime=0))
put("gzip_in_gzip.gz", gzip.compress(gzip.compress(b"1\n2\n3\n" * 100, mtime=0), mtime=0))
put("five_thousand_columns.csv", b",".join(b"%d" % k for k in range(5000)) + b"\n")
put("half_a_character.txt", b"\xff\xfe" + "x\n1\n".encode("utf-16-le") + b"\x00\xd8" + "\n2\n".encode("utf-16-le"))
put("quote_without_end.csv", b'a,"b\n' + b"1,2\n" * 20)

head = b"    -1\n    58" + b" " * 68 + b"\n" + b"NONE\n" * 5 + b"    1         0    0         0\n"
form = b"         4%10d         1  0.00000e+00  1.00000e-03  0.00000e+00\n"
axes = b"        17    0    0    0 NONE                 s\n" * 4
put("points_beyond_the_file.uff", head + form % 9999999999 + axes + b"  1.00000000000e+00\n    -1\n")
binary = head.replace(b"    58" + b" " * 68, b"    58b     1     2          11          80     0     0           0           0")
put("bytes_beyond_the_file.uff", binary + form % 999999999 + axes + bytes(80) + b"    -1\n")

info = lambda samples, bits=16: struct.pack(">HH", 4096, 4096) + bytes(6) + struct.pack(">Q", 8000 << 44 | (bits - 1) << 36 | samples) + bytes(16)
flac = lambda samples: b"fLaC" + bytes([0x80, 0, 0, 34]) + info(samples)
put("samples_beyond_the_file.flac", flac(2**36 - 1) + bytes(100))
put("zeros_for_frames.flac", flac(1000) + bytes(2000))
# a frame with a sound header and a code that never ends
header = bytes([0xFF, 0xF8, 0xC4, 0x08, 0x00])


def sum_8(data):
    s = 0
    for b in data:
        s ^= b
        for _ in range(8):
            s = (s << 1 ^ 0x07 if s & 0x80 else s << 1) & 0xFF
    return s


put("code_without_end.flac", flac(1000) + header + bytes([sum_8(header), 0x10, 0x00]) + bytes(3000))


def varint(n):
    out = b""
    while n >= 0x80:
        out, n = out + bytes([n & 0x7F | 0x80]), n >> 7
    return out + bytes([n])


def record(*fields):
    """A record of Thrift: fields are (number, type, bytes)."""
    out, latest = b"", 0
    for number, kind, data in fields:
        out, latest = out + bytes([number - latest << 4 | kind]) + data, number
    return out + b"\0"


I32, I64, TEXT, LIST, RECORD = 5, 6, 8, 9, 12
whole = lambda n: varint(n << 1 ^ n >> 63)
name = lambda s: varint(len(s)) + s
several = lambda kind, items: bytes([15 << 4 | kind]) + varint(len(items)) + b"".join(items)


def parquet(body, values, group=None, size=None, codec=0, more=()):
    """One column `x` of 64-bit floats of one group; `body` are its pages."""
    size = len(body) if size is None else size
    meta = record((1, I32, whole(5)), (2, LIST, several(I32, [whole(0)])), (3, LIST, several(TEXT, [name(b"x")])), (4, I32, whole(codec)), (5, I64, whole(values)), (6, I64, whole(size)), (7, I64, whole(size)), (9, I64, whole(4)))
    group = record((1, LIST, several(RECORD, [record((2, I64, whole(0)), (3, RECORD, meta))])), (2, I64, whole(size)), (3, I64, whole(values))) if group is None else group
    schema = [record((4, TEXT, name(b"root")), (5, I32, whole(1))), record((1, I32, whole(5)), (3, I32, whole(0)), (4, TEXT, name(b"x")))]
    footer = record((1, I32, whole(2)), (2, LIST, several(RECORD, schema)), (3, I64, whole(values)), (4, LIST, several(RECORD, [group]) if isinstance(group, bytes) else group[0]), *more)
    return b"PAR1" + body + footer + struct.pack("<I", len(footer)) + b"PAR1"


def page(data, values, kind=0, encoding=0, unpacked=None):
    unpacked = len(data) if unpacked is None else unpacked
    about = record((1, I32, whole(values)), (2, I32, whole(encoding)), *([(3, I32, whole(3)), (4, I32, whole(3))] if kind == 0 else []))
    return record((1, I32, whole(kind)), (2, I32, whole(unpacked)), (3, I32, whole(len(data))), (5 if kind == 0 else 7, RECORD, about)) + data


ten = struct.pack("<10d", *range(10))
put("groups_beyond_the_file.parquet", parquet(page(ten, 10), 10, group=(bytes([15 << 4 | RECORD]) + varint(2**31 - 1),)))
put("records_without_end.parquet", parquet(page(ten, 10), 10, more=[(9, RECORD, bytes([1 << 4 | RECORD]) * 5000)]))
put("column_beyond_the_file.parquet", parquet(page(ten, 10), 10, size=2**40))
put("page_beyond_the_column.parquet", parquet(page(ten, 10)[:-80], 10))
put("page_of_two_gigabytes.parquet", parquet(page(ten, 10, unpacked=2**31 - 1), 10, codec=2))
put("page_that_unpacks_to_more.parquet", parquet(page(gzip.compress(bytes(1 << 20), mtime=0), 10, unpacked=80), 10, codec=2))
known = page(struct.pack("<2d", 1, 2), 2, kind=2)
# ten times, and two thousand million times, the place 1 of a dictionary of two; the place 7
put("run_of_two_billion.parquet", parquet(known + page(b"\x01" + varint(2**31 - 2) + b"\x01", 2**30 - 1, encoding=8), 2**30 - 1))
put("place_beyond_the_dictionary.parquet", parquet(known + page(b"\x03" + varint(20) + b"\x07", 10, encoding=8), 10))
put("page_without_its_dictionary.parquet", parquet(page(b"\x01" + varint(20) + b"\x01", 10, encoding=8), 10))


class Flat:
    """Writes tables of FlatBuffers, what is referred to behind what refers."""

    def __init__(self):
        self.bytes = bytearray(4)
        self.later = []

    def table(self, *fields):
        """Fields are None, (format, number), or a function that writes what is referred to."""
        start = len(self.bytes)
        self.bytes += struct.pack("<HH", 4 + 2 * len(fields), 4 + 8 * len(fields))
        self.bytes += b"".join(struct.pack("<H", 0 if f is None else 4 + 8 * i) for i, f in enumerate(fields))
        at = len(self.bytes)
        self.bytes += struct.pack("<i", at - start) + bytes(8 * len(fields))
        for i, f in enumerate(fields):
            slot = at + 4 + 8 * i
            if callable(f):
                self.bytes[slot : slot + 4] = struct.pack("<I", f() - slot)
            elif f is not None:
                self.bytes[slot : slot + struct.calcsize(f[0])] = struct.pack(*f)
        return at

    def vector(self, n, data):
        at = len(self.bytes)
        self.bytes += struct.pack("<I", n) + data
        return at

    def tables(self, *writers):
        at = self.vector(len(writers), bytes(4 * len(writers)))
        done = {}
        for i, writer in enumerate(writers):
            slot = at + 4 + 4 * i
            done[writer] = done.get(writer) or writer()
            self.bytes[slot : slot + 4] = struct.pack("<I", done[writer] - slot)
        return at


def message(kind, body, write):
    f = Flat()
    root = f.table(("<h", 4), ("<B", kind), lambda: write(f), ("<q", body))
    f.bytes[:4] = struct.pack("<I", root)
    f.bytes += bytes(-len(f.bytes) % 8)
    return b"\xff" * 4 + struct.pack("<I", len(f.bytes)) + bytes(f.bytes)


def double(f):
    return f.table(lambda: f.vector(1, b"x"), ("<B", 1), ("<B", 3), lambda: f.table(("<h", 2)), None, lambda: f.tables())


def batch(f, rows, *buffers, codec=None):
    pairs = lambda pairs: b"".join(struct.pack("<QQ", *p) for p in pairs)
    compression = None if codec is None else lambda: f.table(("<b", codec), ("<b", 0))
    return f.table(("<q", rows), lambda: f.vector(1, pairs([(rows, 0)])), lambda: f.vector(len(buffers), pairs(buffers)), compression)


one = message(1, 0, lambda f: f.table(("<h", 0), lambda: f.tables(lambda: double(f))))
put("rows_beyond_the_file.arrows", one + message(3, 44 * 10**12, lambda f: batch(f, 10, (0, 0), (0, 80))) + ten)
put("buffer_beyond_the_rows.arrows", one + message(3, 80, lambda f: batch(f, 10, (0, 0), (2**63, 2**63))) + ten)
put("values_beyond_the_buffer.arrows", one + message(3, 80, lambda f: batch(f, 2000, (0, 0), (0, 80))) + ten)
put("rows_beyond_64_bits.arrows", one + message(3, 80, lambda f: batch(f, 2**62, (0, 0), (0, 80))) + ten)
packed = struct.pack("<q", 2**50) + bytes(72)
put("buffer_that_unpacks_to_petabytes.arrows", one + message(3, 80, lambda f: batch(f, 10, (0, 0), (0, 80), codec=1)) + packed)


def doubling(f, depth):
    child = lambda: doubling(f, depth - 1)
    children = (lambda: f.tables(child, child)) if depth else (lambda: f.tables())
    return f.table(lambda: f.vector(1, b"x"), ("<B", 1), ("<B", 13), lambda: f.table(), None, children)


# each struct has the next one twice, thirty deep
put("structs_that_multiply.arrows", message(1, 0, lambda f: f.table(("<h", 0), lambda: f.tables(lambda: doubling(f, 30)))))
