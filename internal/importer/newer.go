package importer

import (
	"encoding/json"
	"fmt"
)

// leaveOut reports a line that a newer release wrote. The line stays where it is. It does
// not go to the file of refused lines, because nothing in it is wrong.
func (f *fileImport) leaveOut(line batchLine, text []byte) {
	if f.all.shown.newer >= shownRejects {
		return
	}
	f.all.shown.newer++
	written := "was written by a newer release"
	if n := formatOf(text); n != "" {
		written += fmt.Sprintf(" (format %s)", n)
	}
	f.all.config.Reporter.Notice(fmt.Sprintf("line %d of %s: %s: update coordaudit", line.number, f.input, written))
}

// formatOf is the number of a line's format. It is empty if the line has none that can be
// read.
func formatOf(text []byte) string {
	var head struct {
		Format json.Number `json:"format"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return ""
	}
	return head.Format.String()
}
