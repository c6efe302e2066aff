"""What can go wrong with the store, and whose fault it is.

StoreError
├── UsageError            we called it wrongly: unknown table or column, a value of the wrong type
├── Conflict              a row with the same unique values is already stored (`columns` names them)
├── Unavailable           the database does not answer now (locked, full, gone): Overload, try later
└── SchemaTooNew          the database was written by a newer Ringback
"""


class StoreError(Exception):
    """Root of everything that the store raises on purpose."""


class UsageError(StoreError):
    """The caller broke the store's contract; a defect of ours, never a peer's."""


class Conflict(StoreError):
    """A uniqueness rule refused the row.

    `table` is the table's name, `columns` the columns which together must be unique.
    """

    def __init__(self, table: str, columns: tuple[str, ...]) -> None:
        super().__init__(f"{table}: {', '.join(columns) or 'a value'} already taken")
        self.table = table
        self.columns = columns


class Unavailable(StoreError):
    """The database cannot be read or written at this moment; nothing was changed."""


class SchemaTooNew(StoreError):
    """The database has a schema revision that this version does not know."""
