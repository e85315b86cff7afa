"""Predictions as columns of a table of pandas or polars. Neither is imported: a caller with a table has done that."""

from __future__ import annotations

import sys
from typing import Any, Dict, List, Optional, Sequence

from .emotion import MULTI_LABEL, ORDINAL, REGRESSION, Emotion
from .places import Places


class Column:
    """The texts of a table's column. ``positions`` are the rows that have one; the others are missing."""

    def __init__(self, frame: Any, text: Any) -> None:
        library = type(frame).__module__.partition(".")[0]
        if library not in ("pandas", "polars") or not hasattr(type(frame), "columns"):
            raise TypeError(f"predict_frame: {type(frame).__name__} is no DataFrame of pandas or polars; "
                            "give one, or call predict() with a list of texts")
        if not hasattr(frame, "iter_rows") and not hasattr(frame, "iloc"):
            raise TypeError(f"predict_frame: {type(frame).__name__} has no rows yet; call collect() first")
        self._frame, self._polars = frame, library == "polars"
        self._module: Any = sys.modules[library]
        names = list(frame.columns)
        if names.count(text) != 1:
            told = "has no column" if text not in names else "has more than one column"
            raise ValueError(f"predict_frame: the table {told} {text!r}; its columns are "
                             f"{', '.join(map(repr, names)) or 'none'}; name one by text=")
        series = frame[text]
        missing = (series.is_null() if self._polars else series.isna()).to_list()
        self._dtype = series.dtype
        self.positions = [row for row, none in enumerate(missing) if not none]
        self.places = Places("predict_frame", column=text, rows=self.positions)
        values = series.to_list()
        self.texts: List[Any] = [values[row] for row in self.positions]
        for row, value in zip(self.positions, self.texts):
            if not isinstance(value, str):
                raise TypeError(f"predict_frame: {text!r} has a value of the type {type(value).__name__} in row {row}; "
                                f"make it text first, such as df[{text!r}].{'cast(pl.String)' if self._polars else 'astype(str)'}")

    def with_columns(
        self, emotions: Sequence[Emotion], labels: Sequence[str], problem: str, prefix: str, scores: bool
    ) -> Any:
        """A copy of the table with the predictions, which are missing where the text is. The columns are those that `qing
        predict` adds for a model of that problem."""
        names = ["value"] if problem == REGRESSION else ["label"]
        names += ["score"] if problem not in (REGRESSION, MULTI_LABEL) else []
        names += ["value"] if problem == ORDINAL else []
        parts: Dict[str, List[Any]] = {name: [str(e) if name == "label" else getattr(e, name) for e in emotions] for name in names}
        if scores and problem != REGRESSION:
            scored = dict.fromkeys([*labels, *(label for emotion in emotions for label in emotion.scores)])
            parts.update({f"score_{label}": [emotion.scores.get(label) for emotion in emotions] for label in scored})
        columns = {prefix + name: self._in_rows(values) for name, values in parts.items()}
        taken = [name for name in columns if name in list(self._frame.columns)]
        if taken:
            raise ValueError(f"predict_frame: the table has a column {taken[0]!r} already; give another prefix=")
        made = {name: self._typed(name, values, name == prefix + "label") for name, values in columns.items()}
        if self._polars:
            return self._frame.with_columns(list(made.values()))
        result = self._frame.copy()
        for name, values in made.items():
            result[name] = values
        return result

    def _in_rows(self, values: Sequence[Any]) -> List[Optional[Any]]:
        column: List[Optional[Any]] = [None] * len(self._frame)
        for row, value in zip(self.positions, values):
            column[row] = value
        return column

    def _typed(self, name: str, values: List[Optional[Any]], is_label: bool) -> Any:
        library = self._module
        if self._polars:
            return library.Series(name, values, dtype=library.String if is_label else library.Float64)
        if not is_label:
            return library.Series(values, dtype="float64").array
        # Labels have the dtype of the texts if that is one of strings, such as pyarrow's; otherwise the default of pandas.
        # An array has no index, so rows are matched by their place, whatever the table's index is.
        strings = str(self._dtype).startswith(("str", "large_string"))
        dtype = self._dtype if strings else None if any(value is not None for value in values) else "object"
        return library.Series(values, dtype=dtype).array
