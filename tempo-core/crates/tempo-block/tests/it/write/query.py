"""Answers queries over the files that the arguments name: JSON of SQL texts in, JSON of lists of rows out."""

import json
import sys

import duckdb

connection = duckdb.connect()
connection.execute(
    "CREATE VIEW spans AS SELECT * FROM read_parquet(?, union_by_name = true)".replace("?", repr(sys.argv[1:]))
)
answers = [connection.execute(query).fetchall() for query in json.load(sys.stdin)]
json.dump(answers, sys.stdout, default=lambda value: value.hex() if isinstance(value, bytes) else str(value))
