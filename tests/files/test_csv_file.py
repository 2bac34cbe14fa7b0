import pytest

from helpers.files.csv_file import open_csv, write_csv


def test_rows_stand_below_their_columns_and_text_is_quoted_where_it_must_be(tmp_path):
    path = tmp_path / "table.csv"
    write_csv(path, [{"b": 1.5, "a": "x, y"}, {"a": "é", "b": 2}], ("a", "b"))
    assert path.read_text(encoding="utf-8") == 'a,b\n"x, y",1.5\né,2\n'


def test_an_unknown_column_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "table.csv"
    write_csv(path, [{"a": 1}], ("a",))
    with pytest.raises(ValueError, match="fields not in fieldnames: 'b'"):
        write_csv(path, [{"a": 2, "b": 3}], ("a",))
    assert path.read_text(encoding="utf-8") == "a\n1\n"


def test_a_table_is_read_whatever_its_separator(tmp_path):
    path = tmp_path / "table.csv"
    for separator in ",;\t":
        path.write_text(f' A {separator}b\n1{separator}"x, y; z"\n', encoding="utf-8-sig")
        assert list(open_csv(path)) == [{"a": "1", "b": "x, y; z"}]
    path.write_bytes(b"a,b\ncaf\xe9,1\n")
    with pytest.raises(ValueError, match="table.csv: not in UTF-8"):
        open_csv(path)
