// Package browsertest opens the report in a browser: that nothing overlaps, that
// the filter works and that a record's text cannot run is for a browser to say.
// It is a module of its own, so that what drives the browser stays out of
// importers' module graphs.
package browsertest
