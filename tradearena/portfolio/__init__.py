"""Arrays of returns and NAV come in; covariances, portfolios and performance figures go out. No files, no clocks."""
