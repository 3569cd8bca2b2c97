"""The packs of concepts beside the home field, which a site may leave out."""

from __future__ import annotations

from pathlib import Path

from mappings.yaml_files import DefinitionError, Problem

OUR_CONCEPTS = Path(__file__).parent
PACKS = Path(__file__).parents[1] / "packs"
CHOICE = "packs.txt"  # in a site's folder of concepts: the packs that it wants, one a line; nothing listed, none wanted


def pack_folders(site: Path | None) -> tuple[Path, ...]:
    """The folders of the packs: all of them, or those that the site's folder lists in `packs.txt`.

    Raises DefinitionError where the list names a pack that does not exist.
    """
    there = {folder.name: folder for folder in sorted(PACKS.iterdir()) if folder.is_dir()}
    choice = site / CHOICE if site else None
    if choice is None or not choice.is_file():
        return tuple(there.values())
    wanted = [name for line in choice.read_text("utf-8").splitlines() if (name := line.partition("#")[0].strip())]
    if unknown := [name for name in wanted if name not in there]:
        known = ", ".join(there)
        raise DefinitionError([Problem(choice, "", f'"{name}" is no pack; there are {known}') for name in unknown])
    return tuple(there[name] for name in there if name in wanted)
