"""What is read of text and files that readers bring, and what is said of what cannot be read."""

import codecs
import io
import re
import struct
import time
import zipfile
import zlib

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as nst

from em_core.data import iris, old_faithful
from em_ui.data.read import MAX_BYTES, MAX_COLUMNS, MAX_ROWS, choose, numeric_columns, read


def values(source, *columns, **keywords):
    """Return the numbers of the columns, or of all that hold numbers."""
    table = read(source, **keywords)
    return numbers(choose(table, columns or numeric_columns(table)))


def numbers(chosen):
    return chosen[0].tolist()


def column(source, **keywords):
    return [value for [value] in values(source, **keywords)]


def refused(source, *columns, **keywords):
    """Return what is said where nothing can be read."""
    said = answer(source, *columns, **keywords)
    assert isinstance(said, str)
    return said


def answer(source, *columns, decimal="auto", **keywords):
    """Return what is chosen of all columns or these, or what is said where that cannot be."""
    try:
        table = read(source, decimal=decimal)
        return choose(table, columns or tuple(table.frame), **keywords)
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize(
    "text",
    [
        "3.6 1.8 3.333 -2 4e1",
        "3.6,1.8,3.333,-2,4e1",
        "3.6, 1.8, 3.333, -2, 4e1",
        "3.6; 1.8; 3.333; -2; 4e1",
        "3.6\t1.8\t3.333\t-2\t4e1",
        "3.6\n1.8\n3.333\n-2\n4e1",
        "3.6\r\n1.8\r\n\r\n3.333\r\n-2\r\n4e1\r\n\r\n",
        "3.6\r1.8\r3.333\r-2\r4e1",
        "3.6,\n1.8,\n3.333,\n-2,\n4e1,",
        "3.6;\n1.8;\n3.333;\n-2;\n4e1;",
        "3.6, 1.8, 3.333,\n-2, 4e1",
        "3.6 1.8 3.333\n-2 4e1",
        "3.6, 1.8; 3.333 -2\n4e1",
        "  3.6   1.8\t3.333  −2  4E+1  ",
        "3.6\u00a01.8\u202f3.333\u2009-2 4e1",
        "\ufeff3.6 1.8 3.333 -2 4e1",
        '"3.6"\n"1.8"\n"3.333"\n"-2"\n"4e1"',
        "3,6 1,8 3,333 -2 4e1",
        "3,6; 1,8; 3,333; -2; 4e1",
        "3,6;1,8;3,333;-2;4e1",
        "3,6, 1,8, 3,333, -2, 4e1",
        "3,6\n1,8\n3,333\n-2\n4e1",
        "+3,6\t1,8\t3,333\t-2\t4e1",
        "waiting\n3.6\n1.8\n3.333\n-2\n4e1",
        "waiting\n3,6\n1,8\n3,333\n-2\n4e1",
        "waiting\n3.6 1.8 3.333\n-2 4e1",
        "time, in minutes\n3.6\n1.8\n3.333\n-2\n4e1",
        "sep=;\n3,6\n1,8\n3,333\n-2\n4e1",
    ],
)
def test_lists_of_one_column(text):
    assert column(text) == [3.6, 1.8, 3.333, -2, 40]


@pytest.mark.parametrize(
    ("text", "names", "rows"),
    [
        ("a,b\n3.6,79\n1.8,54", ["a", "b"], [[3.6, 79], [1.8, 54]]),
        ("a;b\n3,6;79\n1,8;54", ["a", "b"], [[3.6, 79], [1.8, 54]]),
        ("a\tb\n3,6\t79\n1,8\t54", ["a", "b"], [[3.6, 79], [1.8, 54]]),
        ("a b\n3,6 79\n1,8 54", ["a", "b"], [[3.6, 79], [1.8, 54]]),
        ("3,6 79\n1,8 54", ["Column 1", "Column 2"], [[3.6, 79], [1.8, 54]]),
        ("3.6 79\n1.8 54", ["Column 1", "Column 2"], [[3.6, 79], [1.8, 54]]),
        ("3.6,79\n1.8,54", ["Column 1", "Column 2"], [[3.6, 79], [1.8, 54]]),
        ("  a   b \n 3.6   79\n 1.8   54  ", ["a", "b"], [[3.6, 79], [1.8, 54]]),
        ("a;b;\n3,6;79;\n1,8;54;\n", ["a", "b"], [[3.6, 79], [1.8, 54]]),
        ("a,b\n\n3.6,79\n,\n1.8,54\n,,\n", ["a", "b"], [[3.6, 79], [1.8, 54]]),
        ('"a","b"\n"3,6","79"\n"1,8","54"', ["a", "b"], [[3.6, 79], [1.8, 54]]),
        ('"a, x";"b; y"\n"3,6";79\n"1,8";54', ["a, x", "b; y"], [[3.6, 79], [1.8, 54]]),
        ('"a\nx",b\n3.6,79\n1.8,54', ["a x", "b"], [[3.6, 79], [1.8, 54]]),
        ("sep=,\na,b\n3.6,79\n1.8,54", ["a", "b"], [[3.6, 79], [1.8, 54]]),
        ("SEP=|\na|b\n3.6|79\n1.8|54", ["a", "b"], [[3.6, 79], [1.8, 54]]),
        ("a,a,a\n1,2,3\n4,5,6", ["a", "a (2)", "a (3)"], [[1, 2, 3], [4, 5, 6]]),
        (",a,\n1,2,3\n4,5,6", ["Column 1", "a", "Column 3"], [[1, 2, 3], [4, 5, 6]]),
        ("Column 2,\n1,2\n4,5", ["Column 2", "Column 2 (2)"], [[1, 2], [4, 5]]),
        ('"" "a" "b"\n"1" 3.6 79', ["Column 1", "a", "b"], [[1, 3.6, 79]]),
        ('"a" "b"\n"1" 3.6 79\n"2" 1.8 54', ["Column 1", "a", "b"], [[1, 3.6, 79], [2, 1.8, 54]]),
        ("a b\nx 3.6 79\ny 1.8 54", ["Column 1", "a", "b"], [[3.6, 79], [1.8, 54]]),
        ("a;b;c\n1;2\n3;4;5\n6", ["a", "b", "c"], [[3, 4, 5]]),
        ("a|b\n3,6|79\n1,8|54", ["a", "b"], [[3.6, 79], [1.8, 54]]),
        ("a\tb\n1\t3.6\t79\n2\t1.8\t54", ["Column 1", "a", "b"], [[1, 3.6, 79], [2, 1.8, 54]]),
        (
            "1 2 3\n4 5 6\n7 8 9",
            ["Column 1", "Column 2", "Column 3"],
            [[1, 2, 3], [4, 5, 6], [7, 8, 9]],
        ),
        (
            "5,10\n9,10\n8,10\n4,10\n7,10",
            ["Column 1", "Column 2"],
            [[5, 10], [9, 10], [8, 10], [4, 10], [7, 10]],
        ),
        ("heads,tosses\n5,10", ["heads", "tosses"], [[5, 10]]),
    ],
)
def test_tables(text, names, rows):
    assert list(read(text).frame) == names
    assert values(text) == rows


def test_text_columns_stay_text_and_are_not_among_those_of_numbers():
    table = read("length;width;species\n5,1;3,5;setosa\n4,9;3;Iris versicolor\n")
    assert numeric_columns(table) == ["length", "width"]
    assert list(table.frame["species"]) == ["setosa", "Iris versicolor"]
    unnamed = read("5.1,3.5,setosa\n4.9,3.0,virginica\n")
    assert numeric_columns(unnamed) == ["Column 1", "Column 2"]
    assert list(unnamed.frame["Column 3"]) == ["setosa", "virginica"]


def test_nearly_all_cells_of_a_column_of_numbers_are_numbers():
    lines = ["a,b", *(f"{i},{'x' if i % 5 == 0 else i}" for i in range(99)), "x,1"]
    assert numeric_columns(read("\n".join(lines))) == ["a"]


@pytest.mark.parametrize(
    ("text", "decimal"),
    [
        ("3,6\n1,8\n4\n2,2", ","),  # a row without a comma
        ("3,6\n1,05\n4,0\n2,2", ","),  # a zero in front of a whole number
        ("\n".join(f"{i},{d}" for i in range(8) for d in (6, 81, 333)), ","),
        ("\n".join(f"{x:.1f}".replace(".", ",") for x in np.linspace(3, 7, 60)), ","),
        ("\n".join(f"{x:.1f}".replace(".", ",") for x in np.linspace(43, 96, 99)), ","),
        ("\n".join(f"{i % 10},{i * 7 % 10}" for i in range(40)), "."),
        ("\n".join(f"{i},{i % 10}" for i in range(40)), "."),
        ("\n".join(f"{i % 5},{1 + i % 9}" for i in range(40)), "."),
        ("3,6\n1,8\n4,1\n2,2", "."),
        ("\n".join(f"{i},10" for i in range(30)), "."),
        ("\n".join(f"{i},{i}" for i in range(100)), "."),
        ("3.6,79\n1.8,54", "."),
        ("3,-6\n1,8", "."),
    ],
)
def test_one_comma_on_each_line_is_decided_by_evidence_or_by_the_reader(text, decimal):
    table = read(text)
    assert (table.decimal, table.frame.shape[1]) == ((",", 1) if decimal == "," else (".", 2))


def test_what_was_assumed_of_commas_is_said_and_can_be_changed():
    text = "3,6\n1,8\n4,1\n2,2"
    assert any("taken to separate two columns" in note for note in read(text).notes)
    assert column(text, decimal=",") == [3.6, 1.8, 4.1, 2.2]
    assert not any("taken" in note for note in read(text, decimal=",").notes)
    assert any("taken for a decimal comma" in note for note in read("0,5\n1,05").notes)
    assert not any("taken" in note for note in read("a,b\n3,6\n1,8").notes)


def test_decimal_mark_can_be_forced():
    assert values("a;b\n3,6;79\n1,8;54", "b", decimal=".") == [[79], [54]]
    assert "decimal points" in refused("a;b\n3,6;79\n1,8;54", "a", decimal=".")
    assert values("1,2,3\n4,5,6\n7,8,9", decimal=",") == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    assert column("1,2,3,4,5", decimal=",") == [1, 2, 3, 4, 5]


def test_how_it_was_read_is_said():
    assert read("a;b\n3,6;79").notes == (
        "Read with semicolons between columns, decimal commas.",
        "The first line names the columns.",
    )
    assert read("3.6\n1.8").notes[0] == "Read as one column, decimal points."
    assert read("1 2 3").notes == ("Read as a list of 3 numbers.",)
    assert read("1|2".join(["sep=|\n", "\n"])).notes[0] == "Read with `|` between columns."


def test_commas_that_may_mark_thousands_are_pointed_out():
    [*_, note] = read("a;b\n12,345;1\n9,172;2").notes
    assert note == "`12,345` was read as 12.345. If the comma marks thousands, take it out."
    assert not any("thousands" in note for note in read("a;b\n12,345;1\n9,17;2").notes)


@pytest.mark.parametrize("text", ["a;b\n1.234,5;2\n7,5;2", "1.234,5;2\n7,5;2\n1,2;3"])
def test_thousands_are_not_guessed(text):
    said = refused(text)
    assert said.startswith("Row ")
    assert "expected a number, found `1.234,5`. Marks of thousands are not read" in said


def test_thousands_with_a_decimal_point():
    assert "found `1,234.5`. Marks of thousands" in refused("a;b\n1,234.5;2\n7.5;2")


GEYSER = pd.DataFrame({"eruptions": [3.6, 1.8, 3.333, 2.0], "waiting": [79, 54, 74, 60]})


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"]
)
def test_files_of_any_usual_encoding(encoding):
    text = "Länge;Größe in €\r\n3,6;79\r\n1,8;54\r\n"
    table = read(text.encode(encoding), "data.csv")
    assert list(table.frame) == ["Länge", "Größe in €"]
    assert numbers(choose(table, list(table.frame))) == [[3.6, 79], [1.8, 54]]
    assert table.name == "data.csv"
    assert any("Windows-1252" in note for note in table.notes) == (encoding == "cp1252")


def test_big_endian_with_a_mark():
    assert column(codecs.BOM_UTF16_BE + "1\n2".encode("utf-16-be")) == [1, 2]


def test_byte_that_windows_does_not_know():
    assert list(read(b"L\x81nge\n1\n2").frame) == ["L nge"]


def photograph():
    """Return a PNG with noise, as a photograph is for a reader of text."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    noise = np.random.default_rng(0).integers(0, 256, (64, 193), dtype=np.uint8)
    noise[:, 0] = 0
    head = struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(noise.tobytes()))
        + chunk(b"IEND", b"")
    )


def archive(*names):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as zipped:
        for name in names:
            zipped.writestr(
                name,
                "application/vnd.oasis.opendocument.spreadsheet" if name == "mimetype" else "x",
            )
    return file.getvalue()


NOISE = np.random.default_rng(1).integers(0, 256, 5_000, dtype=np.uint8).tobytes()


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (photograph(), "This is a picture"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF" + NOISE, "This is a picture"),
        (b"GIF89a" + NOISE, "This is a picture"),
        (b"RIFF\1\2\3\4WEBPVP8 " + NOISE, "This is a picture"),
        (b"\0\0\0\x18ftypheic" + NOISE, "This is a picture"),
        (b"\0\0\0\x18ftypmp42" + NOISE, "This is a sound or a film"),
        (b"%PDF-1.7\n" + NOISE, "This is a PDF"),
        (
            archive("[Content_Types].xml", "xl/workbook.xml"),
            "This is an Excel file. Open it in a spreadsheet, save it as CSV",
        ),
        (archive("mimetype", "content.xml"), "This is an OpenDocument spreadsheet"),
        (archive("word/document.xml"), "This is a Word file"),
        (archive("a.csv"), "This is a zip archive"),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + NOISE,
            "This is an Excel file, or another of old Office",
        ),
        (b"\x1f\x8b\x08" + NOISE, "This is a compressed file"),
        (b"{\\rtf1\\ansi 1 2 3}", "This is a word processor’s file"),
        (b"<!DOCTYPE html><table><tr><td>1", "This is a web page"),
        (NOISE, "This is no text"),
        (b"1\n2\n\0\n3", "This is no text"),
    ],
)
def test_files_without_text_are_named_for_what_they_are(data, what):
    said = refused(data)
    assert said.startswith(what)
    assert "\n" not in said
    assert said.endswith(".")


@pytest.mark.parametrize(
    "mark",
    [
        "",
        "NA",
        "NaN",
        "n/a",
        "N/A",
        "–",
        "-",
        "?",
        "null",
        "NULL",
        ".",
        "#N/A",
        "None",
        " NA ",
        '""',
    ],
)
def test_rows_with_missing_values_are_left_out_and_counted(mark):
    chosen = choose(read(f"a,b,c\n1,2,x\n3,{mark},x\n{mark},5,y\n6,7,x"), ["a", "b"])
    assert numbers(chosen) == [[1, 2], [6, 7]]
    assert chosen.used == 2
    assert chosen.left_out == (
        "1 row is left out, because `a` has no value there: row 4.",
        "1 row is left out, because `b` has no value there: row 3.",
    )


def test_only_chosen_columns_leave_rows_out_and_each_row_once():
    table = read("a,b,c\n,,1\n2,3,\n4,,5\n6,7,8")
    assert choose(table, ["a"]).left_out == (
        "1 row is left out, because `a` has no value there: row 2.",
    )
    assert choose(table, ["a", "b"]).left_out == (
        "1 row is left out, because `a` has no value there: row 2.",
        "1 row is left out, because `b` has no value there: row 4.",
    )
    assert choose(table, ["a"], labels="c").used == 2


def test_first_rows_are_named_as_in_the_file_and_the_others_counted():
    lines = ["value", "", *(str(i) if i % 2 else "NA" for i in range(2_000))]
    [said] = choose(read("\n".join(lines)), ["value"]).left_out
    assert said == (
        "1,000 rows are left out, because `value` has no value there: rows 3, 5, 7, 9, 11 and 995 "
        "more."
    )
    [said] = choose(read("sep=;\nvalue;b\n1;2\nNA;2"), ["value"]).left_out
    assert said.endswith("row 4.")


def test_number_of_a_list_that_is_missing():
    [said] = choose(read("1, NA, 3, , 5"), ["Column 1"]).left_out
    assert said.endswith("rows 2, 4.")


@pytest.mark.parametrize(
    ("text", "position", "found"),
    [
        ("1 2 x 4", 3, "x"),
        ("1, 2, x, 4", 3, "x"),
        ("1,2,x,4", 3, "x"),
        ("1;2;x;4", 3, "x"),
        ("1\t2\tx\t4", 3, "x"),
        ("x 1 2", 1, "x"),
        ("1 NA 2 x", 4, "x"),
        ("3.1,2.9,3.o,4.4", 3, "3.o"),
        ("3,1 2,9 5,2 3,o 8,6", 4, "3,o"),
        ("3,1; 2,9; 5,2; 3,o; 8,6", 4, "3,o"),
        ("waiting\n3.1 2.9 3.o 5.2", 3, "3.o"),
        ("1 2 3 x 5\n6 7 8 9 10\n11 12", 4, "x"),
        ("1,2,3,4,5,\n6,7,8,9,10,\n11,1o", 12, "1o"),
        ("3,1 2,9 5,2\n3,3 x 4,1\n8,6", 5, "x"),
        ("1 2 3 4 5\n6 7\n" * 600 + "x", 4_201, "x"),
    ],
)
def test_slip_in_a_list_is_named_by_its_position(text, position, found):
    assert refused(text) == (
        f"Position {position:,} in the list: expected a number, found `{found}`."
    )


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (
            "3,1 2,9 5,2 3.7",
            "The list was read with decimal commas; all of its numbers need the same.",
        ),
        ("3,1 2,9 5,2 1,2,3 4,4", "found `1,2,3`."),
        ("1 2 3 1,234.5", "Marks of thousands are not read: take them out."),
    ],
)
def test_number_of_a_list_that_is_written_otherwise(text, hint):
    said = refused(text)
    assert said.startswith("Position 4 in the list: expected a number, found `")
    assert said.endswith(hint)


def test_endless_number_of_a_list():
    assert refused("1 2 inf") == "Position 3 in the list: expected a finite number, found `inf`."


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("a b c\n1 x 3", (1, 3)),
        ("a,b\n1,2\n3,x", (2, 2)),
        ("1,2\n3,4\n5,x\n7,8", (4, 2)),
        ("1 2 3 4 a\n1 2 3 4 b", (2, 5)),
        ("1\t\t3\n4\tx\t6\n7\t\t9", (3, 3)),
        ("Column 2,\n1,2\n4,5", (2, 2)),
        ("3.1\n2.9\n3.o\n4.4", (4, 1)),
    ],
)
def test_table_with_words_is_no_list(text, shape):
    assert read(text).frame.shape == shape


def test_slip_among_decimal_commas_on_lines_leaves_them_decimal_commas():
    lines = [f"{x:.1f}".replace(".", ",") for x in np.linspace(3, 7, 60)]
    lines[9] = "3,o"
    assert refused("\n".join(lines)) == (
        "Row 10, column `Column 1`: expected a number, found `3,o`."
    )
    assert read("\n".join(["sep=,", *lines])).frame.shape == (60, 2)
    lines[9] = "3,"
    assert read("\n".join(lines)).frame.shape == (60, 2)
    assert any("taken to separate two" in note for note in read("3,6\n1,8\n3,o\n2,2").notes)


def test_rows_of_separators_alone_are_left_out_and_counted():
    chosen = choose(read("\n;;\na;b;c\n1;2;3\n;;\n4;5;6\n\n  \n ; ;\n\n"), ["a", "c"])
    assert numbers(chosen) == [[1, 3], [4, 6]]
    assert chosen.left_out == ("2 rows are left out, because `a` has no value there: rows 5, 9.",)
    assert choose(read("sep=;\n1;2\n;\n3;4"), ["Column 1"]).left_out == (
        "1 row is left out, because `Column 1` has no value there: row 3.",
    )


def test_cell_may_be_as_large_as_a_text():
    assert values(f"a,b,c\n1,2,{'x' * 200_000}\n3,4,y") == [[1, 2], [3, 4]]
    assert values('a,b,c\n1,2,"' + "x\n" * 200_000 + '"\n3,4,y') == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("text", "columns", "said"),
    [
        ("a,b\n1,2\n3,four", ["b"], "Row 3, column `b`: expected a number, found `four`."),
        ("a,b\n1,2\n3,inf", ["b"], "Row 3, column `b`: expected a finite number, found `inf`."),
        (
            "a,b\n1,2\n3,-Infinity",
            ["b"],
            "Row 3, column `b`: expected a finite number, found `-Infinity`.",
        ),
        ("a,b\n1,2\n3,1e400", ["b"], "Row 3, column `b`: expected a finite number, found `1e400`."),
        ("a,b\n1,2\n3,4 %", ["b"], "Row 3, column `b`: expected a number, found `4 %`."),
        ("a,b\n1,2\n3,1_000", ["b"], "Row 3, column `b`: expected a number, found `1_000`."),
        ("a,b\n1,2\n3,0x10", ["b"], "Row 3, column `b`: expected a number, found `0x10`."),
        (
            "a;b\n1,5;2,5\n3;3.7",
            ["b"],
            "Row 3, column `b`: expected a number, found `3.7`. "
            "The table was read with decimal commas; all of its numbers need the same.",
        ),
        (
            "a;b\n1;1'234,5\n3;6",
            ["b"],
            "Row 2, column `b`: expected a number, found `1'234,5`. "
            "Marks of thousands are not read: take them out.",
        ),
        ("a,b\n1,€ 5\n3,€ 6", ["b"], "Row 2, column `b`: expected a number, found `€ 5`."),
        (
            "a,b\n1,x\n3,y",
            ["b"],
            "Column `b` holds text, such as `x`, and numbers are expected. "
            "Columns of numbers: `a`.",
        ),
        (
            "a,b\n1,NA\n3,NA",
            ["b"],
            "No row is left. 2 rows are left out, because `b` has no value there: rows 2, 3.",
        ),
        (
            "a,b\n1,NA\nNA,3",
            ["a", "b"],
            "No row is left. "
            "1 row is left out, because `a` has no value there: row 3. "
            "1 row is left out, because `b` has no value there: row 2.",
        ),
        ("a,b\n1,2", ["c"], "There is no column `c`. The table has: `a`, `b`."),
        ("a,b\n1,2", ["a", "a"], "One column was chosen twice; choose another for one of them."),
        ("a,b\n1,2", [], "Choose the column that holds the numbers."),
    ],
)
def test_cell_that_is_no_number_is_named_with_what_was_expected(text, columns, said):
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        choose(read(text), columns)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "There are no numbers here yet."),
        (" \n;,\t\n", "There are no numbers here yet."),
        ("a,b\n", "There is one line, without numbers, and no row below it."),
        ("nothing to be seen", "There is one line, without numbers, and no row below it."),
        ("a,b\n1,2\n3,4,5\n", "Row 3 has 3 cells, and the table 2 columns."),
        ("1,2,\n3,4,x\n5,6,\n", "Row 2 has 3 cells, and the table 2 columns."),
        (
            "1,2\n3,4\n5,6\n7,8\n9,10\n1,2,3\n1,2\n1,2\n",
            "Row 6 has 3 cells, and the table 2 columns.",
        ),
        ("a b\n1 2\n3 4\n\n5\n", "Row 5 has 1 cell, and the table 2 columns."),
        (
            "waiting time eruption\n79 3.6\n54 1.8",
            "The first line names 3 columns, and the rows below it have 2.",
        ),
        (
            "x y species\n1 2 Iris setosa\n3 4 Iris virginica",
            "The first line names 3 columns, and the rows below it have 4.",
        ),
        ('a,b\n1,"2\n3,4\n', "A quotation mark opens and is not closed"),
        ('a,b\n1,"' + "2\n" * 200_000, "A quotation mark opens and is not closed"),
    ],
)
def test_table_that_is_uneven_or_empty(text, said):
    assert refused(text).startswith(said)


def test_one_number_and_equal_numbers_are_for_the_model_to_judge():
    assert column("5") == [5]
    assert column("5 5 5") == [5, 5, 5]


def test_frequencies_expand_rows():
    table = read("deaths,days,age\n0,3,a\n1,0,b\n2,2,a\n3,,b\n")
    chosen = choose(table, ["deaths"], frequencies="days", labels="age")
    assert numbers(chosen) == [[0], [0], [0], [2], [2]]
    assert chosen.labels.tolist() == [0, 0, 0, 0, 0]
    assert chosen.groups == ("a", "b")
    assert chosen.used == 3
    assert chosen.left_out == ("1 row is left out, because `days` has no value there: row 5.",)


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ("2.5", "Row 3, column `n`: expected a whole number from 0 on, found `2.5`."),
        ("-1", "Row 3, column `n`: expected a whole number from 0 on, found `-1`."),
        ("x", "Row 3, column `n`: expected a whole number from 0 on, found `x`."),
        ("1e400", "Row 3, column `n`: expected a finite number, found `1e400`."),
        (
            "100000",
            "The frequencies in column `n` add up to more than 100,000; "
            "no more observations are taken.",
        ),
        ("1e300", "add up to more than 100,000; no more observations are taken."),
    ],
)
def test_frequencies_that_are_none(times, said):
    assert refused(f"a,n\n1,1\n2,{times}", "a", frequencies="n").endswith(said)


def test_frequency_that_may_be_marked_otherwise_is_told_so():
    said = refused("a;n\n1,5;1\n2,5;1.5", "a", frequencies="n")
    assert said.startswith("Row 3, column `n`: expected a whole number from 0 on, found `1.5`. The")
    assert said.endswith("was read with decimal commas; all of its numbers need the same.")


def test_frequencies_that_come_to_nothing():
    assert "All frequencies in column `n` are 0" in refused("a,n\n1,0\n2,0", "a", frequencies="n")
    assert len(choose(read("a,n\n1,99999\n2,1"), ["a"], frequencies="n").values) == MAX_ROWS


def test_labels_are_sorted_as_text_or_by_size():
    chosen = choose(read("a,l\n1,setosa\n2,?\n3,Virginica\n4,setosa"), ["a"], labels="l")
    assert chosen.groups == ("Virginica", "setosa")
    assert chosen.labels.tolist() == [1, 0, 1]
    numbers = choose(read("a;l\n1;10\n2;9,5\n3;10,0\n4;−1"), ["a"], labels="l")
    assert numbers.groups == ("−1", "9,5", "10")
    assert numbers.labels.tolist() == [2, 1, 2, 0]
    assert choose(read("a,l\n1,2"), ["a"]).labels is None


def test_number_of_groups_is_bounded():
    rows = "\n".join(f"{i},g{i}" for i in range(51))
    assert refused(f"a,l\n{rows}", "a", labels="l") == (
        "Column `l` holds 51 different labels; at most 50 groups are told apart."
    )
    assert len(choose(read("a,l\n" + rows.rsplit("\n", 1)[0]), ["a"], labels="l").groups) == 50


def test_columns_come_in_the_order_asked_for():
    chosen = choose(read("a,b\n1,2\n3,4"), ["b", "a"])
    assert chosen.columns == ("b", "a")
    assert numbers(chosen) == [[2, 1], [4, 3]]
    assert chosen[0].dtype == float


def test_as_many_rows_as_are_allowed_and_fast():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.integers(0, 10, (MAX_ROWS, 5)), columns=list("abcde"))
    text = frame.to_csv(index=False, sep=";")[: MAX_BYTES - 10]
    text = text[: text.rindex("\n") + 1]
    n = text.count("\n") - 1
    begun = time.process_time()
    table = read(text.encode())
    chosen = choose(table, list("abcde"))
    assert time.process_time() - begun < 2
    np.testing.assert_array_equal(chosen[0], frame[:n])


@pytest.mark.parametrize("separator", ["\n", " ", ","])
def test_row_too_many(separator):
    assert len(read(separator.join(["1"] * MAX_ROWS)).frame) == MAX_ROWS
    assert refused(separator.join(["1"] * (MAX_ROWS + 1))).startswith(
        "There are 100,001 rows; at most 100,000 are read."
    )


def test_header_is_no_row_and_blank_lines_are_none():
    lines = ["value", *["1", ""] * MAX_ROWS]
    assert len(read("\n".join(lines)).frame) == MAX_ROWS


def test_bytes_and_columns_are_bounded():
    assert len(read(b"1\n" + b" " * (MAX_BYTES - 2)).frame) == 1
    assert refused(b"1\n" + b" " * (MAX_BYTES - 1)).startswith(
        "This file has 1,000,001 bytes; at most 1,000,000 are read."
    )
    assert refused("ä" * (MAX_BYTES // 2) + "1").startswith("This text has 1,000,001 bytes")
    row = ",".join(["1"] * MAX_COLUMNS)
    assert read("\n".join([row] * 60)).frame.shape == (60, 50)
    assert refused("\n".join([f"{row},1"] * 60)).startswith(
        "This table has 51 columns; at most 50 are read."
    )


@pytest.mark.parametrize(
    "text",
    [
        "1," * 499_999,
        "a,b\n1,2" + "," * 999_000,
        '"' * 999_999,
        "\t" * 500_000 + "1" + "\n" * 499_000,
        "1,2\n" * 249_999,
        '"1\n' * 300_000,
        "e" * 999_999,
        "1e" * 499_999,
        "1 " * 90_000 + "x",
        "1.111" * 190_000,
        ",\n" * 490_000 + "1",
    ],
)
def test_odd_text_of_a_megabyte_is_answered_soon(text):
    begun = time.process_time()
    found = answer(text)
    assert not isinstance(found, str) or len(found) < 500
    assert time.process_time() - begun < 4


HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "`a` **b**",
    ":red[x] $x$",
    "a\u202eb",
    "=1+1",
    "x" * 5_000,
]


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_that_is_read_gets_into_markdown(text):
    quote = text.replace('"', '""')
    said = refused(f'"{quote}",b\n1,2\n"{quote}",3')
    assert said.count("`") == 4
    for span in said.split("`")[1::2]:
        assert len(span) <= 31
    outside = "".join(said.split("`")[::2])
    assert not set("<>[]*$\u202e") & set(outside)
    assert "Row 3, column " in said


NAMES = (
    st.text("abcäß_ -()", min_size=1, max_size=8)
    .map(str.strip)
    .filter(lambda name: name and name.lower() not in ("a", "-") and any(c.isalpha() for c in name))
)
FRAMES = st.integers(2, 5).flatmap(
    lambda width: st.tuples(
        st.lists(
            NAMES, min_size=width, max_size=width, unique_by=lambda name: " ".join(name.split())
        ),
        nst.arrays(
            float,
            st.tuples(st.integers(2, 12), st.just(width)),
            elements=st.floats(-1e9, 1e9).map(lambda x: float(f"{x:.6g}")),
        ),
    )
)


@settings(max_examples=40)
@given(
    FRAMES,
    st.sampled_from(
        [(",", "."), (";", "."), (";", ","), ("\t", "."), ("\t", ","), (" ", "."), (" ", ",")]
    ),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
def test_round_trip_through_pandas(drawn, locale, encoding, end, quote):
    names, numbers = drawn
    names = [" ".join(name.split()) for name in names]
    frame = pd.DataFrame(numbers, columns=names)
    separator, decimal = locale
    text = frame.to_csv(
        index=False, sep=separator, decimal=decimal, lineterminator=end, quoting=1 if quote else 0
    )
    table = read(text.encode(encoding))
    assert list(table.frame) == names
    np.testing.assert_array_equal(choose(table, names)[0], numbers)


@settings(max_examples=40)
@given(
    st.lists(st.floats(-1e6, 1e6).map(lambda x: round(x, 3)), min_size=2, max_size=30),
    st.sampled_from([", ", ",", " ", "; ", "\n", "\t", "  "]),
)
def test_round_trip_of_a_list(numbers, separator):
    assert column(separator.join(map(str, numbers))) == numbers


@settings(max_examples=40)
@given(
    st.lists(st.floats(-1e6, 1e6).map(lambda x: round(x, 3)), min_size=2, max_size=30),
    st.sampled_from([" ", "; ", ";", "\t"]),
)
def test_round_trip_of_a_list_with_decimal_commas(numbers, separator):
    text = separator.join(str(x).replace(".", ",") for x in numbers)
    assert column(text) == numbers


@settings(max_examples=40)
@given(FRAMES, nst.arrays(bool, (12, 5)), st.sampled_from([(",", "."), (";", ",")]))
def test_round_trip_with_missing_values(drawn, missing, locale):
    names, numbers = drawn
    names = [" ".join(name.split()) for name in names]
    missing = missing[: len(numbers), : len(names)]
    frame = pd.DataFrame(numbers, columns=names).mask(missing)
    complete = ~missing.any(axis=1)
    assume(complete.any())
    table = read(frame.to_csv(index=False, sep=locale[0], decimal=locale[1]))
    chosen = choose(table, names)
    np.testing.assert_array_equal(chosen[0], numbers[complete])
    assert chosen.used == complete.sum()


@given(st.text('12,.;- \t\n"ax', max_size=60))
def test_any_text_is_read_or_refused_in_a_sentence(text):
    found = answer(text)
    assert not isinstance(found, str) or found.endswith(".")


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_in_a_sentence(data):
    found = answer(data)
    assert not isinstance(found, str) or found.endswith(".")


def test_old_faithful_from_a_german_spreadsheet():
    """Copied and pasted (tabs), or saved as CSV there: 3.6 minutes are 3,6, and 2 are 2."""
    geyser = old_faithful()
    rows = [[f"{x:g}".replace(".", ",") for x in row] for row in geyser.values]  # noqa: PD011
    pasted = "\r\n".join("\t".join(row) for row in [geyser.columns, *rows])
    saved = "\r\n".join(";".join(row) for row in [geyser.columns, *rows]).encode("cp1252")
    for source in (pasted, saved):
        table = read(source)
        assert numeric_columns(table) == ["eruptions", "waiting"]
        np.testing.assert_array_equal(choose(table, geyser.columns)[0], geyser.values)
    eruptions = "\n".join(row[0] for row in rows)
    assert column(eruptions) == geyser.column("eruptions").tolist()
    without_names = pasted.partition("\n")[2]
    np.testing.assert_array_equal(values(without_names), geyser.values)


def test_iris_with_its_species():
    flowers = iris()
    frame = pd.DataFrame(flowers.values, columns=flowers.columns)
    frame["species"] = [flowers.groups[label] for label in flowers.labels]
    table = read(frame.to_csv(index=False).encode(), "iris.csv")
    found, labels, groups, *_ = choose(table, flowers.columns, labels="species")
    np.testing.assert_array_equal(found, flowers.values)
    np.testing.assert_array_equal(labels, flowers.labels)
    assert groups == flowers.groups
