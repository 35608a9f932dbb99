"""Files of one delivery without the lines of a student: loose ones, and those in zips."""

import filecmp
import shutil
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from edpipeline.erasing import lines
from edpipeline.erasing.lines import Edits
from edpipeline.erasing.meant import Meant
from edpipeline.errors import BadDelivery
from edpipeline.landing import archive
from edpipeline.loading.delivery import MANIFEST, OpenedFile, open_delivery
from edpipeline.loading.options import LoadOptions
from edpipeline.model import ApiPoll, ApiPull, Source
from edpipeline.reading.dialect import ENCODINGS
from edpipeline.reading.json_lines import is_json_lines


@dataclass(frozen=True)
class Rewritten:
    """A file without the student, and which of its lines changed."""

    path: Path
    lines: Mapping[str, tuple[int, ...]]
    """Emptied lines by the name of the file in a zip, or of the file itself."""
    edited: int
    is_empty: bool
    """True for JSON lines of which no record is left."""


@dataclass(frozen=True)
class Searched:
    """What a delivery came to."""

    rewritten: Mapping[str, Rewritten]
    unsearched: int
    """Files that cannot be searched by lines, such as a PDF or a damaged zip."""


@dataclass
class _Text:
    """One file of text: where it came in, and what changes in it."""

    container: str
    name: str
    path: Path
    edits: Edits = field(default_factory=Edits)
    opened: OpenedFile | None = None


def search(
    paths: Mapping[str, Path],
    source: Source,
    options: Sequence[LoadOptions],
    meant: Meant,
    scratch: Path,
) -> Searched:
    """Look for the student in the files of a delivery, by every choice that it was loaded with;
    those that hold the student are written anew, into `scratch`."""
    texts: list[_Text] = []
    unsearched = 0
    for number, (name, path) in enumerate(paths.items()):
        if not name.casefold().endswith(".zip"):
            texts.append(_Text("", name, path))
            continue
        try:
            extracted = archive.extract(path, scratch / f"zip-{number}")
        except BadDelivery:
            unsearched += 1
            continue
        texts += [_Text(name, member, unpacked) for member, unpacked in extracted.files.items()]
    for number, each in enumerate(options):
        _find_by_layout(texts, source, each, meant, scratch / f"opened-{number}")
    told = _told(source)
    for text in texts:
        if text.opened is None and text.name.casefold() not in told:
            if lines.is_text(text.path):
                found = lines.of_text(text.path, meant)
                text.edits.add(_numbered(text, found))
            else:
                unsearched += 1
    containers: dict[str, list[_Text]] = {}
    for text in texts:
        containers.setdefault(text.container or text.name, []).append(text)
    rewritten = {
        name: _rewritten(name, paths[name], of, scratch / f"without-{number}")
        for number, (name, of) in enumerate(containers.items())
        if any(text.edits for text in of)
    }
    return Searched(rewritten, unsearched)


def _told(source: Source) -> set[str]:
    """Files that tell of the others, and hold nothing of a person."""
    arrives, told = source.arrives, {MANIFEST}
    if isinstance(arrives, ApiPull | ApiPoll):
        told.add(arrives.told)
    if isinstance(arrives, ApiPull):
        told.add(arrives.schools)
    return told


def _find_by_layout(
    texts: Iterable[_Text], source: Source, options: LoadOptions, meant: Meant, scratch: Path
) -> None:
    """Files that a load would read, by their columns. Of two copies of a file one is read."""
    scratch.mkdir(parents=True)
    first: dict[str, _Text] = {}
    for text in texts:
        first.setdefault(text.name.casefold(), text)
    opened = open_delivery({t.name: t.path for t in first.values()}, source, options, scratch)
    for file in opened.files:
        if file.task is None:
            continue
        found = lines.of_task(file.task, meant)
        of = first[file.name.casefold()]
        for text in texts:
            same = text.name.casefold() == of.name.casefold()
            if text is of or (same and filecmp.cmp(text.path, of.path, shallow=False)):
                text.opened = file
                text.edits.add(found)


def _numbered(text: _Text, found: Edits) -> Edits:
    """Objects of JSON lines are numbered without blank lines, as they are where they are read."""
    if not is_json_lines(text.name):
        return found
    objects = lines.objects(text.path)
    return Edits({at for at, line in enumerate(objects, 1) if line in found.emptied})


def _rewritten(name: str, path: Path, texts: Sequence[_Text], folder: Path) -> Rewritten:
    folder.mkdir()
    target, is_empty = folder / "whole", False
    changed: dict[str, Path] = {}
    for number, text in enumerate(texts):
        if text.edits:
            changed[text.name] = folder / f"{number}"
            is_empty = _write(text, changed[text.name])
    if texts[0].container:
        _pack(path, changed, target)
        is_empty = False
    else:
        shutil.move(changed[name], target)
    emptied = {t.name: tuple(sorted(t.edits.emptied)) for t in texts if t.edits.emptied}
    return Rewritten(target, emptied, sum(len(text.edits.texts) for text in texts), is_empty)


def _write(text: _Text, target: Path) -> bool:
    """The text without what is to go; whether no record is left."""
    dialect = text.opened.dialect if text.opened else None
    codec = ENCODINGS[dialect.encoding] if dialect else "utf-8"
    if not is_json_lines(text.name):
        has_header = dialect is None or bool(dialect.separator)
        lines.write_without(text.path, target, text.edits, codec, b"", has_header)
        return False
    objects = lines.objects(text.path)
    physical = Edits({objects[at - 1] for at in text.edits.emptied})
    lines.write_without(text.path, target, physical, codec, b"{}", has_header=True)
    with target.open("rb") as written:
        return all(line.strip() in (b"", b"{}") for line in written)


def _pack(path: Path, changed: Mapping[str, Path], target: Path) -> None:
    """The zip with other members; what is passed over when it is read is not taken along."""
    with zipfile.ZipFile(path) as before, zipfile.ZipFile(target, "w") as after:
        kept = {member.name for member in archive.members(path)}
        for info in before.infolist():
            name = PurePosixPath(info.filename).name
            if info.is_dir() or name not in kept or info.filename.startswith("__MACOSX"):
                continue
            told = zipfile.ZipInfo(info.filename, info.date_time)
            told.compress_type = zipfile.ZIP_DEFLATED
            told.external_attr = info.external_attr
            with after.open(told, "w", force_zip64=info.file_size > 1 << 31) as out:
                content = changed[name].open("rb") if name in changed else before.open(info)
                with content:
                    shutil.copyfileobj(content, out, 1 << 20)
