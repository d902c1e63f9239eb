package failsafe

// Type says what a [Condition] is about. Other packages have types of their own.
type Type string

// The types of this package.
const (
	CPU               Type = "cpu"                // processor time in use, percent
	Memory            Type = "memory"             // memory in use that cannot be taken back, percent
	Disk              Type = "disk"               // room or inodes in use on one file system, percent, whichever is more
	ErrorRate         Type = "error_rate"         // calls that failed, percent
	ConsecutiveErrors Type = "consecutive_errors" // calls in a row that failed
	Confidence        Type = "confidence"         // how sure an agent says it is, from 0 to 1
	Sensor            Type = "sensor"             // something cannot be read; the age of what was read last, seconds
)
