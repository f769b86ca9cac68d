// Package browsertest tests vigildebug's page in a real browser. It is a module of
// its own, so that what drives the browser is nobody's dependency. It is skipped
// where there is no Chromium.
package browsertest
