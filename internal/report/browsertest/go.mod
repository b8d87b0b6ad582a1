module github.com/hoc-analytics/coordaudit/internal/report/browsertest

go 1.26.0

// The report is tested as it stands in this checkout.
replace github.com/hoc-analytics/coordaudit => ../../..

require (
	github.com/chromedp/cdproto v0.159.0
	github.com/chromedp/chromedp v0.23.0
	github.com/google/uuid v1.6.0
	github.com/hoc-analytics/coordaudit v0.0.0
)

require github.com/go-json-experiment/json v0.0.0-20260213210345-44df1a37e875 // indirect
