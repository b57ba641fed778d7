"""The shared harness of the live tests, the CLI tests and the benchmarks."""
from .pythons import REPOSITORY, Interpreter, corpus_interpreter, enter, interpreters
from .run import Result, build_dir, lowtide_path, run_command, run_lowtide
from .target import Target, TargetFailed, end_session, reset_signals

__all__ = ["REPOSITORY", "Interpreter", "Result", "Target", "TargetFailed", "build_dir", "corpus_interpreter", "end_session", "enter",
           "interpreters", "lowtide_path", "reset_signals", "run_command", "run_lowtide"]
