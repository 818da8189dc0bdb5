"""What a study will take and can show, before anything is spent."""
