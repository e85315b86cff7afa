// Labels of the texts on the command line, through the C interface: predict MODEL_DIRECTORY TEXT...
package main

// #cgo pkg-config: qing
// #include <stdlib.h>
// #include <qing.h>
import "C"

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"
)

// Model is a classifier. Any number of goroutines may predict with one.
type Model struct{ handle *C.qing_model }

// Load reads a model directory.
func Load(directory string) (*Model, error) {
	// The last error belongs to the thread of the call.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	path := C.CString(directory)
	defer C.free(unsafe.Pointer(path))
	model := &Model{}
	if C.qing_load(path, C.QING_F32, &model.handle) != C.QING_OK {
		return nil, errors.New(C.GoString(C.qing_last_error()))
	}
	return model, nil
}

// Close frees the model.
func (m *Model) Close() { C.qing_free_model(m.handle) }

// Predict returns the label and its score for each text.
func (m *Model) Predict(texts []string) (labels []string, scores []float32, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if len(texts) == 0 {
		return nil, nil, nil
	}
	pointers, lengths := make([]*C.char, len(texts)), make([]C.size_t, len(texts))
	for i, text := range texts {
		pointers[i], lengths[i] = C.CString(text), C.size_t(len(text))
		defer C.free(unsafe.Pointer(pointers[i]))
	}
	var predictions *C.qing_predictions
	if C.qing_predict(m.handle, &pointers[0], &lengths[0], C.size_t(len(texts)), &predictions) != C.QING_OK {
		return nil, nil, errors.New(C.GoString(C.qing_last_error()))
	}
	defer C.qing_free_predictions(predictions)
	for i := range texts {
		label := C.qing_predicted_label(predictions, C.size_t(i))
		all := unsafe.Slice(C.qing_scores(predictions, C.size_t(i)), C.qing_label_count(m.handle))
		labels = append(labels, C.GoString(C.qing_label(m.handle, C.size_t(label))))
		scores = append(scores, float32(all[label]))
	}
	return labels, scores, nil
}

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintf(os.Stderr, "usage: %s MODEL_DIRECTORY TEXT...\n", os.Args[0])
		os.Exit(2)
	}
	model, err := Load(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	defer model.Close()
	labels, scores, err := model.Predict(os.Args[2:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for i, text := range os.Args[2:] {
		fmt.Printf("%s\t%.4f\t%s\n", labels[i], scores[i], text)
	}
}
