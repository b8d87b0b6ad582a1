package format

import (
	"strconv"

	"github.com/hoc-analytics/coordaudit/audit"
)

// Thousands writes a number with commas between its thousands.
func Thousands(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// CycleTotal says how many preemption cycles there are, as far as the search came.
func CycleTotal(c audit.PreemptionCycles) string {
	if c.AtLeast {
		return "at least " + Thousands(c.Total)
	}
	return Thousands(c.Total)
}

// Bytes writes a size in the largest unit of which it has at least one.
func Bytes(n int64) string {
	if n < 1024 {
		return strconv.FormatInt(n, 10) + " B"
	}
	size, unit := float64(n)/1024, 0
	const units = "KMGTPE"
	for size >= 1024 {
		size, unit = size/1024, unit+1
	}
	return strconv.FormatFloat(size, 'f', 1, 64) + " " + units[unit:unit+1] + "iB"
}
