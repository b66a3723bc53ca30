"""What every page needs, whichever capability shows it: templates, assets, cookies, language."""
