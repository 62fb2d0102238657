"""What is found in folders of files, and what their subfolders say of it."""

import logging
import os

import pytest
from kedro.io import DatasetError

from latents.datasets.folders import files_within, labels_and_split, split_of


def make(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("a text")
    return root


class TestFiles:
    def test_by_folder_and_name_without_hidden_ones(self, tmp_path):
        make(
            tmp_path, "a-b/x", "a/z.md", "a/deep/y.txt", ".git/x.txt", "a/.hidden", "a/.deep/x.txt", "top.txt"
        )
        (tmp_path / "empty").mkdir()
        assert files_within(tmp_path) == ["a/deep/y.txt", "a/z.md", "a-b/x", "top.txt"]

    @pytest.mark.parametrize(
        ("pattern", "found"),
        [
            ("*.txt", ["a/deep/y.txt", "top.txt"]),
            ("**/*.txt", ["a/deep/y.txt", "top.txt"]),
            ("deep/*", ["a/deep/y.txt"]),
            ("[tz]*", ["a/z.md", "top.txt"]),
        ],
    )
    def test_a_pattern_chooses(self, tmp_path, pattern, found):
        make(tmp_path, "a/z.md", "a/deep/y.txt", "top.txt")
        assert files_within(tmp_path, pattern) == found

    def test_links_are_followed(self, tmp_path):
        elsewhere = make(tmp_path / "elsewhere", "1.txt", "more/2.txt")
        root = make(tmp_path / "root", "sky/3.txt")
        (root / "sea").symlink_to(elsewhere)
        (root / "lake").symlink_to(elsewhere)
        (root / "sky/4.txt").symlink_to(elsewhere / "1.txt")
        names = ["lake/1.txt", "lake/more/2.txt", "sea/1.txt", "sea/more/2.txt", "sky/3.txt", "sky/4.txt"]
        assert files_within(root) == names

    def test_loops_of_links_end_and_are_told_of(self, tmp_path, caplog):
        make(tmp_path, "sea/1.txt", "sky/2.txt")
        (tmp_path / "sea/all").symlink_to(tmp_path)
        (tmp_path / "sky/sea").symlink_to("../sea")
        assert files_within(tmp_path) == ["sea/1.txt", "sky/2.txt", "sky/sea/1.txt"]
        assert f"{tmp_path / 'sea/all'} leads back to {tmp_path} and is not entered again" in caplog.text

    @pytest.mark.parametrize(
        ("target", "said"),
        [
            ("missing", "dead is a link to missing, where there is nothing"),
            ("dead", "dead cannot be read: Too many"),
        ],
    )
    def test_links_to_nothing_are_refused(self, tmp_path, target, said):
        make(tmp_path, "1.txt")
        (tmp_path / "dead").symlink_to(target)
        with pytest.raises(DatasetError, match=said):
            files_within(tmp_path, "*.txt")

    def test_names_that_are_no_utf8_are_refused(self, tmp_path):
        with open(os.fsencode(tmp_path) + b"/W\xf6lfe.txt", "w"):
            pass
        with pytest.raises(
            DatasetError, match=r"the file name 'W\\udcf6lfe\.txt' in .* is no utf-8; rename it"
        ):
            files_within(tmp_path)

    def test_nothing_there(self, tmp_path):
        with pytest.raises(DatasetError, match=r"there is no folder .*nowhere"):
            files_within(tmp_path / "nowhere")
        with pytest.raises(DatasetError, match=r"has no file \*\.txt"):
            files_within(tmp_path, "*.txt")


class TestSplit:
    @pytest.mark.parametrize(
        ("folders", "held_out"),
        [
            (["train", "test"], ["test"]),
            (["Training", "TESTING"], ["TESTING"]),
            (["train", "val", "test"], ["test", "val"]),
            (["train", "valid"], ["valid"]),
            (["training", "validation"], ["validation"]),
            (["20news-bydate-train", "20news-bydate-test"], ["20news-bydate-test"]),
        ],
    )
    def test_folders_that_divide(self, folders, held_out):
        split = split_of(folders)
        assert sorted(split) == sorted(folders)
        assert sorted(name for name in split if split[name]) == held_out

    @pytest.mark.parametrize(
        "folders",
        [
            [],
            ["train"],
            ["test", "val"],
            ["train", "training"],
            ["train", "plane"],
            ["train", "test", "plane"],
            ["bullet-train", "crash-test"],
            ["trains", "tests"],
            ["train", "contest"],
        ],
    )
    def test_folders_that_are_labels(self, folders):
        assert split_of(folders) is None


class TestLabelsAndSplit:
    def test_labels(self, tmp_path):
        assert labels_and_split(tmp_path, ["sea/deep/1", "sky/2"]) == (["sea", "sky"], None)
        assert labels_and_split(tmp_path, ["1", "2"]) == (None, None)
        assert labels_and_split(tmp_path, ["train/1", "plane/2"]) == (["train", "plane"], None)

    def test_a_split_with_labels_below_is_told_of(self, tmp_path, caplog):
        with caplog.at_level(logging.INFO):
            found = labels_and_split(tmp_path, ["test/neg/1", "train/neg/2", "train/pos/deep/3"])
        assert found == (["neg", "neg", "pos"], [True, False, False])
        assert (
            "are a split: test is held out, train is trained on; if they are labels, rename one"
            in caplog.text
        )

    def test_a_split_without_labels(self, tmp_path):
        assert labels_and_split(tmp_path, ["test/1", "train/2"]) == (None, [True, False])

    @pytest.mark.parametrize(
        ("names", "outside"),
        [
            (["README", "sea/1"], "README"),
            (["README", "test/1", "train/2"], "README"),
            (["test/1", "train/neg/2"], "test/1"),
        ],
    )
    def test_files_beside_the_labels_are_refused(self, tmp_path, names, outside):
        with pytest.raises(
            DatasetError, match=rf"{outside} lies beside the subfolders, which are the labels"
        ):
            labels_and_split(tmp_path, names)
