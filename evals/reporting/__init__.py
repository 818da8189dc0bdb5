"""From a run folder to the data of its report: read, counted, named; nothing is fitted here."""
