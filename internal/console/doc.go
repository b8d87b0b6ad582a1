// Package console is the read-only web console of the trail. The server makes every page, so
// it works without scripts. One small script keeps the live tail up to date.
//
// A console reads through the Store alone, and never outside the scope of a request. Each view
// is a URL. It sets no cookies and loads nothing from elsewhere.
package console
