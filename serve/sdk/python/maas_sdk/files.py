"""The files of a project: data sets for fine-tuning and evaluation."""

from __future__ import annotations

import io
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple, Union
from urllib.parse import quote, urlencode

from .errors import MaaSError

if TYPE_CHECKING:
    from .client import MaaSClient

#: A path, an open binary file, bytes, or a pair of a name and one of these.
FileContent = Union[str, "os.PathLike[str]", BinaryIO, bytes]
FileLike = Union[FileContent, Tuple[str, FileContent]]
_PAGE = 100
_PIECE = 1 << 16


class RowError(NamedTuple):
    """Why a row is not usable; ``line`` counts from 1."""

    line: int
    message: str


class File:
    """A stored file. What is None was not examined, since the purpose needs no labelled rows."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self.fields = dict(fields)  #: all members of the answer
        self.id: str = fields["id"]
        self.bytes: int = fields["bytes"]
        self.created_at: int = fields["created_at"]
        self.expires_at: Optional[int] = fields.get("expires_at")
        self.filename: str = fields["filename"]
        self.purpose: str = fields["purpose"]
        self.status: str = fields["status"]
        self.status_details: Optional[str] = fields.get("status_details")
        self.sha256: Optional[str] = fields.get("sha256")
        self.format: Optional[str] = fields.get("format")
        self.rows: Optional[int] = fields.get("rows")
        self.wrong_rows: Optional[int] = fields.get("wrong_rows")
        self.labels: Optional[Dict[str, int]] = fields.get("labels")
        self.languages: Optional[Dict[str, int]] = fields.get("languages")
        self.duplicates: Optional[int] = fields.get("duplicates")
        self.contradictions: Optional[int] = fields.get("contradictions")
        self.lengths: Optional[Dict[str, float]] = fields.get("lengths")
        #: what the labels seem to be: "single-label", "multi-label" or "regression"
        self.kind: Optional[str] = fields.get("kind")
        self.numbers: Optional[Dict[str, float]] = fields.get("numbers")
        self.errors: List[RowError] = [RowError(e["line"], e["message"]) for e in fields.get("errors") or []]

    def __repr__(self) -> str:
        return f"File(id={self.id!r}, filename={self.filename!r}, purpose={self.purpose!r}, status={self.status!r})"


def opened(file: FileLike) -> Tuple[str, BinaryIO, bool]:
    """Returns a name, an open file and whether to close it."""
    name: Optional[str] = None
    if isinstance(file, tuple):
        name, file = file
    if isinstance(file, (bytes, bytearray)):
        return name or "upload", io.BytesIO(file), True
    if isinstance(file, (str, os.PathLike)):
        path = Path(file)
        return name or path.name, path.open("rb"), True
    if not hasattr(file, "read"):
        raise ValueError("file: give a path, a file opened in binary mode, bytes, or a pair of a name and one of these")
    if isinstance(file.read(0), str):
        raise TypeError("file: opened as text; open it with 'rb'")
    return name or Path(str(getattr(file, "name", "upload"))).name, file, False


class Form:
    """A body of multipart/form-data (RFC 7578) with one file, which is read in pieces."""

    def __init__(self, fields: Mapping[str, str], name: str, file: BinaryIO) -> None:
        boundary = f"maas-{secrets.token_hex(16)}"
        self.content_type = f"multipart/form-data; boundary={boundary}"
        head = "".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
            for key, value in fields.items()
        )
        for character in '"\r\n':  # as the WHATWG's form encoding has it
            name = name.replace(character, f"%{ord(character):02X}")
        head += f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
        self._head = head.encode("utf-8")
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        self._file = file
        self._begin = file.tell()
        self._size = file.seek(0, io.SEEK_END) - self._begin

    def __len__(self) -> int:
        return len(self._head) + self._size + len(self._tail)

    def __iter__(self) -> Iterator[bytes]:
        self._file.seek(self._begin)  # a retry reads again
        yield self._head
        left = self._size
        while left > 0:
            piece = self._file.read(min(_PIECE, left))
            if not piece:
                raise MaaSError("file: became shorter while it was sent; send it again")
            left -= len(piece)
            yield piece
        yield self._tail


def path_of(file_id: str) -> str:
    if not isinstance(file_id, str) or not file_id:
        raise ValueError(f"file_id {file_id!r}: give the id of a file")
    return "/v1/files/" + quote(file_id, safe="")


def file_of(answer: Any) -> File:
    if not isinstance(answer, dict) or answer.get("object") != "file" or "filename" not in answer:
        raise MaaSError("the answer does not describe a file; check that it is a qing service")
    return File(answer)


def list_path(purpose: Optional[str], order: str, after: Optional[str]) -> str:
    query = {"limit": str(_PAGE), "order": order, "purpose": purpose, "after": after}
    return "/v1/files?" + urlencode({name: value for name, value in query.items() if value is not None})


def page_of(answer: Any) -> Tuple[List[File], bool]:
    """Returns the files of a page, and whether there are more."""
    if not isinstance(answer, dict) or not isinstance(answer.get("data"), list):
        raise MaaSError("the answer has no list of files; check that it is a qing service")
    files = [file_of(fields) for fields in answer["data"]]
    return files, bool(answer.get("has_more")) and bool(files)


class Files:
    """``client.files``."""

    def __init__(self, client: "MaaSClient") -> None:
        self._client = client

    def create(self, *, file: FileLike, purpose: str = "fine-tune") -> File:
        """Uploads a file in bounded memory. An open file is read from its position on, and must be seekable."""
        name, content, owned = opened(file)
        try:
            return file_of(self._client.request("POST", "/v1/files", form=Form({"purpose": purpose}, name, content)))
        finally:
            if owned:
                content.close()

    def retrieve(self, file_id: str) -> File:
        """Returns what the service knows of a file."""
        return file_of(self._client.request("GET", path_of(file_id)))

    def list(self, *, purpose: Optional[str] = None, order: str = "desc") -> Iterator[File]:
        """Yields all files, the newest first, or with ``order="asc"`` the oldest."""
        after: Optional[str] = None
        while True:
            files, more = page_of(self._client.request("GET", list_path(purpose, order, after)))
            for file in files:
                after = file.id
                yield file
            if not more:
                return

    def content(self, file_id: str) -> bytes:
        """Returns the bytes of a file."""
        return self._client.request_bytes("GET", path_of(file_id) + "/content")

    def delete(self, file_id: str) -> None:
        """Removes a file."""
        self._client.request("DELETE", path_of(file_id))
