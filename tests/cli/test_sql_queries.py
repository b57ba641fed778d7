"""sql: queries that are wrong are refused before anything is opened, with the place where that is known."""
import pytest


@pytest.mark.parametrize("query, words", [
    ("SELEC 1", "wrong at character 1"),
    ("SELECT nosuch FROM types", "no such column: nosuch"),
    ("SELECT * FROM nosuch", "no such table: nosuch"),
    ("", "the query is empty"),
    ("  -- nothing", "the query is empty"),
    ("SELECT 1; SELECT 2", "there is more after the query"),
    ("DELETE FROM types", "may not be modified"),
    ("CREATE TABLE x (y)", "refused"),
    ("ATTACH '/etc/passwd' AS x", "refused"),
    ("PRAGMA user_version = 1", "refused"),
    ("VACUUM INTO '/tmp/lowtide-vacuum'", "refused"),
    ("SELECT load_extension('x')", "not authorized"),
    ("SELECT readfile('/etc/passwd')", "no such function"),
    ("SELECT " + ", ".join("1" for i in range(100)), "too many columns"),
])
def test_wrong_queries(lowtide, query, words):
    result = lowtide("sql", 4194304, query)
    assert result.code == 2 and words in result.err and result.out == "", result


def test_help_names_the_tables(lowtide):
    out = lowtide("help", "sql").out
    for table in ("objects (", "refs (", "types (", "roots ("):
        assert table in out
