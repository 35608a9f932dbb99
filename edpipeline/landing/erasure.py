"""The one thing that alters what landed: files of a drop lose the lines of a person who is erased.

The record of the drop says so; its name stays, since deliveries and decisions know it by that.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from edpipeline.landing.drop import (
    Drop,
    drop_record,
    drop_root,
    stored_name,
)
from edpipeline.landing.erased import Erased
from edpipeline.landing.store import Store


def replace_files(store: Store, drop: Drop, files: Mapping[str, tuple[Erased, Path]]) -> Drop:
    """Put files without a person's lines in place of those that are kept, by their names.

    The record says what will be before a file is replaced, and that it is once it was: killed in
    between, either file is taken, and the same again ends it.
    """
    root = drop_root(drop)
    announced = [
        replace(file, erased=files[file.name][0]) if file.name in files else file
        for file in drop.files
    ]
    _write(store, replace(drop, files=tuple(announced)))
    for number, file in enumerate(drop.files, 1):
        if file.name in files:
            store.replace_file(f"{root}/{stored_name(number, file.name)}", files[file.name][1])
    done = [
        replace(file, erased=replace(file.erased, before="")) if file.erased else file
        for file in announced
    ]
    return _write(store, replace(drop, files=tuple(done)))


def settle_replaced(store: Store, drop: Drop) -> Drop:
    """End what a killed `replace_files` began, as far as the files were replaced; the others are
    as they were before, and the record says so."""
    if not any(file.erased and file.erased.before for file in drop.files):
        return drop
    root, settled = drop_root(drop), []
    for number, file in enumerate(drop.files, 1):
        erased = file.erased
        if erased and erased.before:
            with store.local_copy(f"{root}/{stored_name(number, file.name)}") as path:
                kept, size = sha256_of(path), path.stat().st_size
            erased = replace(erased, before="")
            if kept != erased.sha256:
                erased = replace(erased, size=size, sha256=kept, is_empty=False)
        settled.append(replace(file, erased=erased))
    return _write(store, replace(drop, files=tuple(settled)))


def sha256_of(path: Path) -> str:
    """The hash of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(store: Store, drop: Drop) -> Drop:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "drop.json"
        path.write_bytes(drop_record(drop))
        store.replace_file(f"{drop_root(drop)}/drop.json", path)
    return drop
