"use strict";
// The page's own words; what is said of operations comes from the contracts, in English.
const WORDS = {
  en: {
    filter: "find an operation", other: "ไทย", authorise: "Authorise", grant: "grant", purpose: "purpose of use",
    authoriseHelp: "A token is kept in this page only and goes with every request that is tried here.",
    reason: "reason (for EMERGENCY)", getToken: "get a token", ownToken: "or paste one", haveToken: "token in use",
    noToken: "no token", parameters: "parameters", body: "body", response: "answer", scopes: "scopes", anyone: "anyone",
    tryIt: "try it", send: "send", required: "required", file: "file", failed: "no answer", until: "valid until",
  },
  th: {
    filter: "ค้นหาคำสั่ง", other: "English", authorise: "ยืนยันตัวตน", grant: "วิธีขอสิทธิ์", purpose: "วัตถุประสงค์การใช้ข้อมูล",
    authoriseHelp: "โทเคนถูกเก็บไว้ในหน้านี้เท่านั้น และจะส่งไปกับทุกคำขอที่ทดลองจากหน้านี้",
    reason: "เหตุผล (กรณีฉุกเฉิน)", getToken: "ขอโทเคน", ownToken: "หรือวางโทเคนที่มีอยู่", haveToken: "ใช้โทเคนอยู่",
    noToken: "ยังไม่มีโทเคน", parameters: "พารามิเตอร์", body: "เนื้อหาคำขอ", response: "คำตอบ", scopes: "ขอบเขตสิทธิ์", anyone: "ทุกคน",
    tryIt: "ทดลอง", send: "ส่งคำขอ", required: "จำเป็น", file: "ไฟล์", failed: "ไม่มีคำตอบ", until: "ใช้ได้ถึง",
  },
};
