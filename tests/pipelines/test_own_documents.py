"""Each way to bring documents of one's own, as `docs/data.md` has it, from its YAML to the report."""

import gzip
import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from kedro.io import DatasetError
from scipy import sparse
from scipy.io import mmwrite
from sklearn.datasets import dump_svmlight_file

from latents.pipelines.clustering.corpus import count_words, ingest
from latents.pipelines.clustering.parameters import FeaturesParameters, FitParameters
from latents.pipelines.documents import IngestParameters
from tests.conftest import ROOT
from tests.datasets.bags.h5ad_files import write_h5ad
from tests.tables import write_table

MANUAL = (ROOT / "docs/data.md").read_text()
BLOCKS = re.findall(r"```yaml\n(clustering\.raw_documents:.*?)```", MANUAL, flags=re.DOTALL)
FOLDER, TABLE, *BAGS = BLOCKS
BAG = BAGS[0]
GERMAN, CHINESE, THAI = re.findall(r"```yaml\n(clustering: \{features: .*?)```", MANUAL, flags=re.DOTALL)
ENDINGS = re.findall(r"\.\w+", TABLE.split("documents")[-1].replace("(an object a line)", ""))
_TABLE_OF_FORMATS = MANUAL[MANUAL.index("| `format` |") :].split("\n\n")[0]
FORMATS = re.findall(r"^\| `([\w-]+)` \| `([\w.]+)` \|", _TABLE_OF_FORMATS, flags=re.MULTILINE)[1:]
WITH_LABELS = ("svmlight", "h5ad")

WORDS = ["anchor", "harbour", "sail", "Null", "airport", "cloud", "plane", "wing"]
PARAMETERS = """
clustering:
  features: {min_df: 1, max_df: 1.0}
  fit: {n_components: 2}
"""


def corpus():
    """Twenty documents of two kinds: their labels, counts and texts."""
    rng = np.random.default_rng(0)
    kinds = np.arange(20) % 2
    counts = np.zeros((20, 8), dtype=int)
    for kind, row in zip(kinds, counts, strict=True):
        row[4 * kind : 4 * kind + 4] = rng.integers(1, 5, 4)
    texts = [" ".join(np.repeat(WORDS, row)) for row in counts]
    texts[0], counts[0] = "null", [0, 0, 0, 1, 0, 0, 0, 0]
    return [["sea", "sky"][kind] for kind in kinds], counts, texts


LABELS, COUNTS, TEXTS = corpus()


def rows_of(first, label="{i}"):
    lines = []
    for i, (name, row) in enumerate(zip(LABELS, COUNTS, strict=True)):
        pairs = " ".join(f"{first + j}:{count}" for j, count in enumerate(row) if count)
        lines.append(f"{label.format(i=i, name=name)}{pairs}\n")
    return "".join(lines)


def write_bag(project, entry):
    """Write the files of an entry of the catalog, by hand or as their own programs do."""
    path = project.path / entry["filepath"]
    path.parent.mkdir(parents=True, exist_ok=True)
    entries = [f"{i + 1} {j + 1} {COUNTS[i, j]}" for i, j in np.argwhere(COUNTS)]
    words = "".join(f"{word}\n" for word in WORDS)
    format_ = entry["format"]
    if format_ == "uci":
        path.write_text("\n".join(["20", "8", str(len(entries)), *entries]) + "\n")
        path.with_name(path.name.replace("docword", "vocab")).write_text(words)
    elif format_ == "svmlight":
        path.write_text(rows_of(1, "{name} "))
    elif format_ == "lda-c":
        pairs = rows_of(0, "").splitlines()
        path.write_text("".join(f"{row.count(':')} {row}\n" for row in pairs))
        path.with_name("vocab.txt").write_text(words)
    elif format_ == "numbered":
        path.write_text(rows_of(100, "{i}\t"))
        numbered = "".join(f"{100 + j}\t{word}\t7\n" for j, word in enumerate(WORDS))
        path.with_suffix(".vocab").write_text(numbered)
    elif format_ == "mtx" and entry.get("transpose"):
        matrix = io.BytesIO()
        mmwrite(matrix, sparse.coo_array(COUNTS.T))
        features = "".join(f"ENSG{j}\t{word}\tGene Expression\n" for j, word in enumerate(WORDS)).encode()
        barcodes = "".join(f"{i}-1\n" for i in range(len(COUNTS))).encode()
        path.write_bytes(gzip.compress(matrix.getvalue()))
        path.with_name("features.tsv.gz").write_bytes(gzip.compress(features))
        path.with_name("barcodes.tsv.gz").write_bytes(gzip.compress(barcodes))
    elif format_ == "mtx":
        mmwrite(path, sparse.csr_array(COUNTS.astype(float)))
    elif format_ == "npz":
        sparse.save_npz(path, sparse.csr_array(COUNTS))
    else:
        pytest.importorskip("h5py", reason="the extra h5ad is not installed")
        write_h5ad(path, COUNTS, WORDS, LABELS)
    if "vocabulary" in entry:
        path.with_name(entry["vocabulary"]).write_text(words)


def entry_of(block):
    return yaml.safe_load(block)["clustering.raw_documents"]


def run(project, entry, until=None, **features):
    """Run the pipeline on an entry of the catalog, with its file already in place."""
    project.write("conf/local/catalog.yml", entry)
    project.write("conf/local/parameters.yml", PARAMETERS)
    project.run("clustering", env=None, params={"clustering": {"features": features}}, until=until)


def vocabulary_of(project):
    path = project.data(None) / "04_feature/clustering/vocabulary.csv"
    return pd.read_csv(path, keep_default_na=False)["word"].tolist()


def write_words(project):
    project.write("data/01_raw/words.txt", "".join(f"{word}\n" for word in WORDS))


def check(project, labels=True):
    """Look at what the run made of the documents: equal tables give equal pages, whatever file they came from."""
    data, metrics = project.data(None), project.metrics("clustering", env=None)
    assert metrics["n_documents"] == 18
    assert metrics["n_words"] == 8
    assert ("nmi" in metrics) == labels
    counts = sparse.load_npz(data / "04_feature/clustering/counts.npz").toarray()
    order = sorted(range(8), key=lambda j: WORDS[j].lower())
    assert vocabulary_of(project) == [WORDS[j].lower() for j in order]
    assert counts[0].sum() == 1  # the document that says "null"
    np.testing.assert_array_equal(np.sort(counts.sum(axis=1)), np.sort(COUNTS.sum(axis=1)))
    documents = pd.read_parquet(data / "02_intermediate/clustering/documents.parquet")
    assert (documents["text"].str.len() > 0).all()
    return counts[:, np.argsort(order)], documents


def test_the_manual_has_an_example_of_each():
    assert [next(iter(yaml.safe_load(block).values()))["type"].split(".")[-1] for block in BLOCKS] == [
        "TextFolderDataset",
        "DocumentTableDataset",
        *["BagOfWordsDataset"] * 8,
    ]
    assert all(len(block.splitlines()) <= 5 for block in BLOCKS)  # the name, and three lines or four
    assert ENDINGS == [".csv", ".tsv", ".jsonl", ".parquet"]
    names = ["uci", "svmlight", "lda-c", "numbered", "mtx", "mtx", "npz", "h5ad"]
    assert [format_ for format_, _ in FORMATS] == names
    entries = [entry_of(block) for block in BAGS]
    assert [(entry["format"], Path(entry["filepath"]).name) for entry in entries] == FORMATS


def test_a_folder_of_texts(project):
    for i, (label, text) in enumerate(zip(LABELS, TEXTS, strict=True)):
        project.write(f"data/01_raw/texts/{label}/{i:02}.txt", text)
    run(project, FOLDER)
    _, documents = check(project)
    assert documents["label"].tolist() == sorted(LABELS)
    assert documents["name"][0] == "sea/00.txt"
    assert "</html>" in (project.path / "data/08_reporting/clustering/report.html").read_text()


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_table(project, ending):
    path = project.path / f"data/01_raw/documents{ending}"
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame({"text": TEXTS, "label": LABELS})
    write_table(table, path)
    run(project, TABLE.replace("documents.csv", f"documents{ending}"), until="evaluate")
    counts, documents = check(project)
    np.testing.assert_array_equal(counts, COUNTS)
    assert documents["text"].tolist() == TEXTS


@pytest.mark.parametrize("block", BAGS)
def test_a_bag_of_words(project, block):
    entry = entry_of(block)
    write_bag(project, entry)
    run(project, block, until="export")
    counts, documents = check(project, labels=entry["format"] in WITH_LABELS)
    np.testing.assert_array_equal(counts, COUNTS)
    for text, row in zip(documents["text"], COUNTS, strict=True):
        assert set(text.split()) == {WORDS[j] for j in np.flatnonzero(row)}
        assert row[WORDS.index(text.split()[0])] == row.max()
    with (project.path / "conf/local/catalog.yml").open("a") as file:
        file.write(block.replace("clustering.raw", "clustering_inference.raw"))
    project.run("clustering_inference", env=None)
    assigned = assignments(project)
    assert assigned["n_tokens"].tolist() == COUNTS.sum(axis=1).tolist()
    assert assigned["name"].tolist() == documents["name"].tolist()
    assert ("label" in assigned) == (entry["format"] in WITH_LABELS)


def assignments(project):
    folder = project.path / "data/07_model_output/clustering_inference"
    return pd.read_csv(folder / "assignments.csv", keep_default_na=False, dtype={"name": str})


SVMLIGHT = """
{name}.raw_documents:
  type: latents.datasets.BagOfWordsDataset
  filepath: data/01_raw/{name}.svm
  format: svmlight
  {more}
"""


@pytest.mark.parametrize("vocabulary", ["vocabulary: words.txt", ""])
def test_new_documents_are_numbered_as_those_of_the_training(project, vocabulary, caplog):
    """Scikit-learn numbers words from 0 by default and does not say so; new documents need not have word 0."""
    write_words(project)
    labels = [LABELS.index(label) for label in LABELS]
    dump_svmlight_file(sparse.csr_array(COUNTS), labels, str(project.path / "data/01_raw/clustering.svm"))
    new = str(project.path / "data/01_raw/clustering_inference.svm")
    entries = [SVMLIGHT.format(name=name, more=vocabulary) for name in ("clustering", "clustering_inference")]
    for first, rows in ((None, [[0, 3, 1] + [0] * 5, [0] * 5 + [1, 2, 0]]), (1, [[1] * 8])):
        # Of the second it is known that it is numbered otherwise.
        options = {"zero_based": first is None, "comment": first and "from 1"}
        dump_svmlight_file(sparse.csr_array(np.array(rows)), [0] * len(rows), new, **options)
        if first is None:
            run(project, "".join(entries), until="export")
        project.run("clustering_inference", env=None)
        assigned = assignments(project)
        assert assigned["n_tokens"].tolist() == [sum(row) for row in rows]
        if first is None:
            decided = [set(words.split(", ")) for words in assigned["deciding_words"]]
            names = [word.lower() for word in WORDS] if vocabulary else [str(j) for j in range(8)]
            assert decided == [{names[1], names[2]}, {names[5], names[6]}]
            assert assigned["cluster"].nunique() == 2


def test_a_training_whose_numbers_may_begin_at_0_or_1_is_refused(project):
    counts = COUNTS.copy()
    counts[:, [0, -1]] = 0
    write_words(project)
    path = str(project.path / "data/01_raw/clustering.svm")
    dump_svmlight_file(sparse.csr_array(counts), np.arange(20) % 2, path)
    with pytest.raises(ValueError, match=r"clustering\.svm does not tell whether .* say `zero_based: true`"):
        run(project, SVMLIGHT.format(name="clustering", more="vocabulary: words.txt"))
    assert not list((project.path / "data").rglob("documents.parquet"))
    told = "vocabulary: words.txt\n  zero_based: true"
    run(project, SVMLIGHT.format(name="clustering", more=told), until="features")
    assert set(vocabulary_of(project)) == {WORDS[j].lower() for j in np.flatnonzero(counts.sum(axis=0))}


def test_vocabulary_rules_hold_for_bags(project):
    write_bag(project, entry_of(BAG))
    project.write("data/01_raw/vocab.kos.txt", "anchor\nSail\nsail\nthe\nairport\ncloud\nplane\nwing\n")
    run(project, BAG, until="features", stop_words=["the", "wing"], max_features=4)
    sums = {"anchor": COUNTS[:, 0], "sail": COUNTS[:, 1] + COUNTS[:, 2], "airport": COUNTS[:, 4]}
    sums |= {"cloud": COUNTS[:, 5], "plane": COUNTS[:, 6]}
    kept = sorted(sorted(sums, key=lambda word: -sums[word].sum())[:4])
    assert vocabulary_of(project) == kept
    counts = sparse.load_npz(project.data(None) / "04_feature/clustering/counts.npz").toarray()
    np.testing.assert_array_equal(counts, np.column_stack([sums[word] for word in kept]))
    with pytest.raises(ValueError, match=r"ngram_range is \[1, 2\], but the words of a bag have no order"):
        run(project, BAG, ngram_range=[1, 2])


def test_a_malformed_file_stops_the_run(project):
    write_bag(project, entry_of(BAG))
    path = project.path / "data/01_raw/docword.kos.txt"
    path.write_text(path.read_text() + "1 1 many\n")
    with pytest.raises(DatasetError, match=r"docword\.kos\.txt, line \d+: the count of word \d+ is 'many'"):
        run(project, BAG)
    assert not list((project.path / "data").rglob("documents.parquet"))


def test_ngrams_of_texts(project):
    pd.DataFrame({"text": TEXTS}).to_csv(project.path / "texts.csv", index=False)
    entry = "clustering.raw_documents: {type: latents.datasets.DocumentTableDataset, filepath: texts.csv}\n"
    run(project, entry, until="features", ngram_range=[1, 2])
    assert {"anchor", "anchor harbour", "cloud plane"} <= set(vocabulary_of(project))


UNLABELLED = IngestParameters(text_column="text", label_column=None)
JUDGING = FitParameters.model_construct(use_labels="judge")
DEFAULTS = yaml.safe_load((ROOT / "conf/base/parameters_clustering.yml").read_text())["clustering"][
    "features"
]


def features_with(**changes):
    return FeaturesParameters(**DEFAULTS | {"min_df": 1, "max_df": 1.0} | changes)


@pytest.mark.parametrize(
    ("block", "texts", "words"),
    [
        (
            # The first is decomposed, as file names and texts from macOS are.
            GERMAN,
            ["Die Ku\u0308che und der Ka\u0308se", "Küche für Käse, nicht für Gewürze", "Öl", "ÖL ist da"],
            {"küche": 2, "käse": 2, "gewürze": 1},
        ),
        (CHINESE, ["股票市场", "股票。", "足球"], {"股 票": 2, "票 市": 1, "市 场": 1, "足 球": 1}),
        (THAI, ["ภาษา", "ภาษ"], {"ภ า ษ": 2, "า ษ า": 1}),
        (
            "clustering: {features: {stop_words: null}}",
            ["किताब और विद्यार्थी।", "किताब", "हैं"],
            {"किताब": 2, "और": 1, "विद्यार्थी": 1, "हैं": 1},
        ),
        (
            "clustering: {features: {stop_words: null}}",
            ["__strong__ word2vec, covid19", "strong ﬁne", "fine İZMİR", "İzmir _fi\u00adne_"],
            {"strong": 2, "word": 1, "vec": 1, "covid": 1, "fine": 3, "izmir": 2},
        ),
    ],
    ids=["German", "Chinese", "Thai", "Hindi", "edges"],
)
def test_other_languages(block, texts, words, caplog):
    features = features_with(**yaml.safe_load(block)["clustering"]["features"])
    documents, bag = ingest(pd.DataFrame({"text": texts}), UNLABELLED, JUDGING)
    _, vocabulary, _ = count_words(documents, bag, features)
    assert dict(zip(vocabulary["word"], vocabulary["n_documents"], strict=True)) == words
    assert "the texts are mostly" not in caplog.text


def features_of(caplog, texts, **features):
    """Count the words of texts, and return them with what was logged."""
    _, vocabulary, rules = count_words(pd.DataFrame({"text": texts}), {}, features_with(**features))
    return vocabulary["word"].tolist(), rules, caplog.text


CHINESE_TEXTS = ["股票市场今天上涨了百分之二、投资者都很高兴。", "足球比赛昨天晚上在北京举行、观众非常多。"]
THAI_TEXTS = ["ตลาดหุ้นไทยปรับตัวสูงขึ้นในวันนี้", "การแข่งขันฟุตบอลจัดขึ้นที่กรุงเทพเมื่อคืนนี้"]


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (
            CHINESE_TEXTS,
            [
                "mostly Chinese or Japanese",
                "'足球比赛昨天晚上在北京举行'",
                "'[ぁ-ヿ一-鿿]', ngram_range: [2, 2]",
            ],
        ),
        (
            ["株式市場は今日上昇しました。", "サッカーの試合は昨夜東京で行われました。"],
            ["mostly Chinese or Japanese"],
        ),
        (THAI_TEXTS, ["mostly Thai", r"token_pattern: '[\u0e01-\u0e4e]', ngram_range: [3, 3]"]),
        (["ຕະຫຼາດຫຼັກຊັບເພີ່ມຂຶ້ນໃນມື້ນີ້"], ["mostly Lao"]),
        (["စတော့ရှယ်ယာဈေးကွက်ယနေ့တက်သည်"], ["mostly Burmese"]),
        (["ទីផ្សារភាគហ៊ុនបានកើនឡើងនៅថ្ងៃនេះ"], ["mostly Khmer"]),
        ([*CHINESE_TEXTS, "and a few words of English in it"], ["mostly Chinese or Japanese"]),
    ],
)
def test_scripts_without_spaces_are_told(caplog, texts, said):
    _, _, log = features_of(caplog, texts)
    for words in [*said, "without spaces", "docs/data.md"]:
        assert words in log


@pytest.mark.parametrize(
    "texts",
    [
        ["我们 今天 喜欢 音乐", "股票 市场 上涨"],
        ["ตลาด หุ้น ไทย ปรับตัว สูงขึ้น"],
        [CHINESE_TEXTS[0], "the rest of these texts, much longer than this one, is all in English" * 3],
        ["Фондовый рынок сегодня вырос", "Футбольный матч прошёл вчера вечером"],
        ["주식 시장이 오늘 올랐다", "हिन्दी में लिखा हुआ पाठ"],
        ["كِتَابٌ جَدِيدٌ", "ספר חדש"],
        ["plain English"],
    ],
)
def test_scripts_with_spaces_are_not_complained_of(caplog, texts):
    assert "the texts are mostly" not in features_of(caplog, texts)[2]


@pytest.mark.parametrize(
    ("pattern", "texts", "said"),
    [
        (r"(?u)\b[a-zA-Z]{3,}\b", ["рынок сегодня вырос, see Reuters"], "mostly in Cyrillic letters"),
        (r"(?u)\b\w\w+\b", ["हिन्दी में लिखा हुआ पाठ किताब कमल"], "mostly in Devanagari letters"),
        (r"[\w']+", ["כִּי טוֹב הָאוֹר שָׁלוֹם"], "mostly in Hebrew letters"),
    ],
)
def test_patterns_that_cut_a_script_are_told(caplog, pattern, texts, said):
    _, _, log = features_of(caplog, texts, token_pattern=pattern)
    assert said in log
    assert "'words' finds the words of any language" in log


def test_stop_words_are_read_as_texts_are(caplog):
    texts = ["Und die Küche", "KÜCHE, don't", "New York"]
    stop_words = ["UND", "Ku\u0308che", "don't", "New York", "a"]
    words, rules, log = features_of(caplog, texts, stop_words=stop_words)
    assert words == ["die", "new", "york"]
    assert set(rules["stop_words"]) == {"und", "küche", "don't", "don", "new york", "a"}
    assert "2 of 5 stop words, such as 'a', 'new york', are not one word" in log


def test_english_stop_words_are_not_complained_of(caplog):
    assert "stop words" not in features_of(caplog, ["the words of a text"])[2]


def test_stop_words_of_bags_are_spelled_as_its_words_are(caplog):
    raw = {
        "counts": sparse.csr_array(np.array([[1, 2, 3, 4], [4, 3, 2, 1]])),
        "words": ["Ku\u0308che", "don't", "don", "ﬁne"],
        "documents": pd.DataFrame(index=range(2)),
    }
    documents, bag = ingest(raw, UNLABELLED, JUDGING)
    _, vocabulary, _ = count_words(documents, bag, features_with(stop_words=["KÜCHE", "Don't", "no"]))
    assert vocabulary["word"].tolist() == ["don", "fine"]
    assert "stop words" not in caplog.text
