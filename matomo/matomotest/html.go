package matomotest

import (
	"net/http"
	"strings"
)

// The pages that Matomo shows where a client might expect JSON. They carry the
// recorded title and text and leave out the decoration.
const (
	pageHead        = "<!DOCTYPE html>\n<html>\n<head>\n\t<meta charset=\"utf-8\">\n\t<title>"
	titleError      = "Matomo &rsaquo; Error"
	titleMaintain   = "Matomo is undergoing maintenance"
	titleSignIn     = "Sign in - Matomo"
	textMaintenance = "We will be back up and running again soon, so please try again later. Your analytics data will continue to be tracked as normal. Thank you for your patience."
)

// answer is a finished HTTP answer.
type answer struct {
	status   int
	header   http.Header
	body     []byte
	truncate bool // announce the whole body, send half of it, hang up
}

func newAnswer(status int, contentType string, body []byte) *answer {
	return &answer{status: status, header: http.Header{"Content-Type": {contentType}}, body: body}
}

// page returns an HTML answer with a title, a heading and a text.
func page(status int, title, heading, text string) *answer {
	var b strings.Builder
	b.WriteString(pageHead + title + "</title>\n</head>\n<body id=\"simple\">\n")
	if heading != "" {
		b.WriteString("<h1>" + heading + "</h1>\n")
	}
	if text != "" {
		b.WriteString("<h2>" + htmlEntities(text) + "</h2>\n")
	}
	b.WriteString("</body>\n</html>\n")
	return newAnswer(status, "text/html; charset=utf-8", []byte(b.String()))
}

func errorPage(status int, text string) *answer {
	return page(status, titleError, "An error occurred", text)
}

// maintenancePage is sent for every request to the application, whatever
// format it asked for. nginx writes the charset in capitals.
func maintenancePage() *answer {
	a := page(http.StatusServiceUnavailable, titleMaintain, titleMaintain+": "+textMaintenance, "")
	a.header.Set("Content-Type", "text/html; charset=UTF-8")
	return a
}

// signInPage is what a request without a module gets, such as one whose
// parameters are in a JSON body (trap 12).
func signInPage() *answer { return page(http.StatusOK, titleSignIn, "", "") }
