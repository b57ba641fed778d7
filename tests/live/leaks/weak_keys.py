"""Notes about documents in a WeakKeyDictionary. Each note refers to its document, so no document ever goes."""
import weakref

from load import turns

EXPECT = {"kind": ["weak-value-container"],
          "expression": ["sys.modules['weak_keys'].notes", "sys.modules['weak_keys'].notes.data"]}

notes = weakref.WeakKeyDictionary()


class Document:
    def __init__(self, number):
        self.lines = ["line %d of document %d" % (i, number) for i in range(6)]


class Note:
    def __init__(self, document):
        self.document = document


def main():
    for turn in turns(250):
        document = Document(turn)
        notes[document] = Note(document)
