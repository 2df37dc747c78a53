import HTTPService
import Platform
import Primitives

/// The text of docs/configuration.md, made from the table of settings so that it can not be wrong.
enum ConfigurationDocument {
  static var text: String {
    let defaults = Configuration(directory: "DIR")
    var text = head
    text += "| key | default | allowed |\n| --- | --- | --- |\n"
    for setting in Setting.all {
      text += "| `\(setting.path)` | `\(setting.value(in: defaults))` | \(setting.allowed) |\n"
    }
    text += "\n## What each key means\n"
    for setting in Setting.all { text += "\n**`\(setting.path)`** \(setting.summary)\n" }
    return text + "\n## A file with every key at its default\n\n```json5\n" + example(defaults) + "```\n"
  }

  private static let head = """
    # Configuration

    `gnomon serve --pool DIR` reads `DIR/gnomon.json5` if it exists, or the file given with `--config`, which
    must exist. The file is JSON5: JSON with comments, trailing commas, bare keys and single quotes. Every key
    is optional. A wrong key or value, or a key that is there twice, ends the start with a message that names
    it; nothing is ignored.

    Options of the command line replace what the file says: `--listen`, `--reactors`, `--log-level`,
    `--api-listen`, `--read-only`.

    Sizes are numbers of bytes, or strings like `"40M"` or `"1GiB"`; K, M, G, T and P are powers of 1024.
    Places for NBD clients are URIs as clients write them: `nbd://HOST[:PORT]` (port 10809 if none is given)
    and `nbd+unix:///?socket=PATH`. Places for the control API are `unix:PATH` and `http://HOST:PORT`. Port 0
    takes a free one, which the log names.

    ## Keys


    """

  private static func example(_ defaults: Configuration) -> String {
    var text = "{\n"
    var section = ""
    for setting in Setting.all {
      let parts = setting.path.split(separator: ".").map(String.init)
      let parent = parts.count > 1 ? parts[0] : ""
      if parent != section {
        if !section.isEmpty { text += "  },\n" }
        if !parent.isEmpty { text += "  \(parent): {\n" }
        section = parent
      }
      let indent = parent.isEmpty ? "  " : "    "
      text += "\(indent)\(parts[parts.count - 1]): \(setting.value(in: defaults)),\n"
    }
    return text + (section.isEmpty ? "" : "  },\n") + "}\n"
  }
}
