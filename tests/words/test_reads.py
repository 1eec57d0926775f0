from typing import get_args

from hestia.rules.scalars import READERS
from hestia.words import reads
from hestia.words.reads import Reads


def test_every_marker_names_a_reader():
    named = {note.name for thing in vars(reads).values() for note in get_args(thing) if isinstance(note, Reads)}
    assert named
    assert named <= READERS.keys()
