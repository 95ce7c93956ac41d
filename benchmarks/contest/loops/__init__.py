"""The opponents that need nothing but what this project installs."""
