/*
 * Search in a page opened from disk. The search runs in a worker, and browsers refuse workers to file: pages. This
 * stands in for one there: the worker's script runs in a hidden frame of the page, and messages go to and fro as
 * events. (MkDocs Material's plugin `offline` looks for a script of this file's name before it would load one from
 * another host.) Pages that come from a server keep the browser's own workers.
 */
if (location.protocol === "file:") {
  window.IFrameWorker = window.Worker = class extends EventTarget {
    constructor(address) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      this.inside = new Promise(resolve => {
        frame.onload = () => {
          frame.onload = null
          const { contentWindow: inside, contentDocument: page } = frame
          inside.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }))
          const script = page.createElement("script")
          script.onload = () => resolve(inside)
          script.src = new URL(address, location)
          page.body.append(script)
        }
      })
      document.body.append(frame)
    }

    async postMessage(data) {
      (await this.inside).dispatchEvent(new MessageEvent("message", { data }))
    }
  }
}
