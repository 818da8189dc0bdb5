"""What observations say beside capability, as panels of evidence."""
