package deadletter

// File lets a test stand between the directory and its segments.
type File = file

// SetCreate has new segments made by wrap.
func SetCreate(d *Directory, wrap func(File) File) {
	d.create = func(path string) (file, error) {
		made, err := createFile(path)
		if err != nil {
			return nil, err
		}
		return wrap(made), nil
	}
}
