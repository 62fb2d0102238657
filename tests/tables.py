"""Tables in the kinds of file that the product reads, as pandas writes them."""


def write_table(table, path):
    """Write a table as the kind of file that its name says."""
    if ".parquet" in path.suffixes:
        table.to_parquet(path)
    elif {".jsonl", ".ndjson"}.intersection(path.suffixes):
        table.to_json(path, orient="records", lines=True)
    else:
        table.to_csv(path, index=False, sep="\t" if ".tsv" in path.suffixes else ",")
