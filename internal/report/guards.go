package report

import (
	"fmt"
	"strings"

	"github.com/hoc-analytics/coordaudit/internal/format"
)

// Guards says whether the guards of the trail were in place when the report was made.
type Guards struct {
	// Checked means that the role could look at them.
	Checked bool

	// Differences are the objects that differ from what the migrations make. Unchecked are
	// the objects that the role may not look at.
	Differences, Unchecked []string
}

// String is the answer in one line.
func (g Guards) String() string {
	text := "all in place"
	switch n := len(g.Differences); {
	case !g.Checked:
		return "could not be checked"
	case n > 0:
		text = fmt.Sprintf("%s: %s; see migrate validate", format.Plural(int64(n), "difference"), strings.Join(g.Differences, ", "))
	case len(g.Unchecked) > 0:
		text = "no difference found"
	}
	if len(g.Unchecked) > 0 {
		text += "; with this role's rights not checked: " + strings.Join(g.Unchecked, ", ")
	}
	return text
}
