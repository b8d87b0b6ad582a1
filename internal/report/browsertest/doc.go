// Package browsertest opens the report and the console in a browser. Only a browser can show
// that nothing overlaps, that the keys work, and that the text of a record cannot run. It is a module
// of its own, so that the library that drives the browser stays out of the module graphs of
// importers.
package browsertest
