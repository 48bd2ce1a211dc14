/** The names of the icons in Sprite.svelte. */
export type IconName =
  | "drop"
  | "link"
  | "copy"
  | "check"
  | "clock"
  | "key"
  | "folder"
  | "folder-eye"
  | "pause"
  | "play"
  | "more"
  | "qr"
  | "warning"
  | "x"
  | "search"
  | "gear"
  | "trash"
  | "refresh"
  | "upload"
  | "plus"
  | "down"
  | "back"
  | "next"
  | "external"
  | "lock"
  | "unlock"
  | "computer"
  | "bucket"
  | "cloud-off"
  | "ban"
  | "alert"
  | "info"
  | "lapsed"
  | "cut"
  | "eye"
  | "file"
  | "file-text"
  | "file-image"
  | "file-video"
  | "file-archive"
  | "file-code"
  | "file-sheet"
  | "file-audio";

const KINDS: [IconName, string][] = [
  ["file-text", "pdf txt md doc docx odt rtf epub tex log pages"],
  ["file-image", "png jpg jpeg gif webp heic avif svg tif tiff bmp psd raw"],
  ["file-video", "mov mp4 mkv webm avi m4v mpg mpeg"],
  ["file-archive", "zip gz tgz xz zst bz2 7z rar tar iso dmg deb rpm"],
  [
    "file-code",
    "sh py rs js ts html css json xml yml yaml toml c h cpp go java rb php sql",
  ],
  ["file-sheet", "xlsx xls ods csv tsv numbers"],
  ["file-audio", "mp3 m4a wav flac ogg opus aac aiff"],
];
const BY_EXTENSION = new Map(
  KINDS.flatMap(([icon, extensions]) =>
    extensions.split(" ").map((extension) => [extension, icon] as const),
  ),
);

/** The icon of a file by its name's end. */
export const fileIcon = (name: string): IconName =>
  BY_EXTENSION.get(name.slice(name.lastIndexOf(".") + 1).toLowerCase()) ??
  "file";
