package ralph

// StoreError is a fault of the file at Config.Path.
type StoreError struct {
	Path    string
	Problem string // what is wrong, and what to do
	Err     error  // what the system or the database said, or nil
}

// Error names the file, what is wrong and what to do.
func (e *StoreError) Error() string {
	s := "ralph: store " + quotedPath(e.Path) + " " + e.Problem
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns Err.
func (e *StoreError) Unwrap() error { return e.Err }
