package observe

import (
	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
)

// Quiet keeps client-go from writing to standard error by itself, which it does
// through a logger of the whole process. What matters of it comes back as
// errors. It is called once, by main, before anything else.
func Quiet() { klog.SetLogger(logr.Discard()) }
