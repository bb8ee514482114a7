"""Encrypting what goes into a repository, and opening it again: age, so that `age -d` opens it without us too."""

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TypeAlias

import pyrage
from pyrage import x25519

Recipient: TypeAlias = x25519.Recipient
Identity: TypeAlias = x25519.Identity


class KeyFileError(Exception):
    """A key cannot be used; the message names the file, never its content."""


def recipient_of(text: str) -> Recipient:
    """The public key `age1…`. Raises KeyFileError."""
    try:
        return x25519.Recipient.from_str(text.strip())
    except pyrage.RecipientError as error:
        raise KeyFileError(f"not a public key of age (age1…): {error}") from error


def new_identity(path: Path) -> Recipient:
    """Writes a new private key to a file that is not there yet, mode 0600; answers its public key. Raises KeyFileError."""
    identity = x25519.Identity.generate()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise KeyFileError(f"{path} cannot be made: {error.strerror}") from error
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(f"# public key: {identity.to_public()}\n{identity}\n")
        file.flush()
        os.fsync(file.fileno())
    return identity.to_public()


def identity_in(path: Path) -> Identity:
    """The private key in a file as `age-keygen` and `new_identity` write it. Raises KeyFileError."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
        (key,) = (line.strip() for line in lines if line.strip() and not line.startswith("#"))
        return x25519.Identity.from_str(key)
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, pyrage.IdentityError) as error:
        raise KeyFileError(f"{path} does not hold one private key of age (AGE-SECRET-KEY-1…)") from error


def seal(source: IO[bytes], path: Path, recipient: Recipient) -> int:
    """Encrypts a stream into a file that is there whole and on the disk, or not at all; its size."""
    fresh = path.with_name(f".{path.name}.new")
    with fresh.open("wb") as file:
        pyrage.encrypt_io(source, file, [recipient])
        file.flush()
        os.fsync(file.fileno())
        size = file.tell()
    fresh.rename(path)
    sync_folder(path.parent)
    return size


@contextlib.contextmanager
def opened(path: Path, identity: Identity) -> Iterator[IO[bytes]]:
    """The content of a sealed file as a stream, decrypted while it is read.

    Raises KeyFileError at the end where the key is another or the file was changed.
    """
    read_end, write_end = os.pipe()
    failed: list[Exception] = []

    def pour() -> None:
        try:
            with path.open("rb") as sealed, os.fdopen(write_end, "wb") as pipe:
                pyrage.decrypt_io(sealed, pipe, [identity])
        except (pyrage.DecryptError, OSError) as error:
            failed.append(error)

    thread = threading.Thread(target=pour, name=f"opens {path.name}", daemon=True)
    with os.fdopen(read_end, "rb") as stream:
        thread.start()
        try:
            yield stream
        except Exception as error:
            stream.close()
            thread.join()
            # What could not be decrypted is the cause of what could not be read.
            if failed and not isinstance(failed[0], BrokenPipeError):
                raise KeyFileError(f"{path} cannot be opened: {failed[0]}") from error
            raise
    thread.join()
    if failed and not isinstance(failed[0], BrokenPipeError):
        raise KeyFileError(f"{path} cannot be opened: {failed[0]}") from failed[0]


def sync_folder(path: Path) -> None:
    """Makes renames in a directory last."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
