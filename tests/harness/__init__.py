"""The shared harness of the live tests, the CLI tests and the benchmarks."""
from .pythons import (REPOSITORY, WORKLOAD_MINORS, Interpreter, corpus_interpreter, enter, has_workload_libraries, interpreters,
                      musl_interpreter, workload_dir)
from .run import Result, build_dir, lowtide_path, run_command, run_lowtide, watching
from .target import Target, TargetFailed, end_session, reset_signals

__all__ = ["REPOSITORY", "WORKLOAD_MINORS", "Interpreter", "Result", "Target", "TargetFailed", "build_dir", "corpus_interpreter",
           "end_session", "enter", "has_workload_libraries", "interpreters", "lowtide_path", "musl_interpreter", "reset_signals", "run_command",
           "run_lowtide", "watching", "workload_dir"]
