package term

// Shorten cuts the end of a text that takes more cells than width.
func Shorten(text string, width int) string {
	if Cells(text) <= width {
		return text
	}
	return head(text, width-1) + "…"
}

// ShortenID cuts the middle of an id, because ids often differ at the end.
func ShortenID(id string, width int) string {
	if Cells(id) <= width {
		return id
	}
	room := max(width-1, 0)
	end := tail(id, room/2)
	return head(id, room-Cells(end)) + "…" + end
}
