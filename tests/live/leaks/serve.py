"""Runs one program of the corpus: serve.py NAME. The program is imported, as a server imports an application."""
import importlib
import sys

importlib.import_module(sys.argv[1]).main()
